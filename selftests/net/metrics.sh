#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check: all
# ppctl metrics: Prometheus' text format, as its description has it, and what it says.
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
said=$tap_work/said
pin=$LAB_BPFFS/pp

# well_formed FILE: HELP and TYPE before the samples of each metric, which stand together; no sample twice;
# names and labels of the right characters; counters that end in _total, and nothing else that does
well_formed() {
	awk '
	function wrong(why) { print "line " NR ": " why ": " $0; failed = 1 }
	/^# HELP [a-z_][a-z0-9_]* ./ { name = $3; if (name in helped) wrong("HELP twice"); helped[name] = 1; next }
	/^# TYPE [a-z_][a-z0-9_]* (counter|gauge)$/ {
		if ($3 != name) wrong("TYPE without its HELP")
		if (($4 == "counter") != ($3 ~ /_total$/)) wrong("a name that does not fit its type")
		type[$3] = $4
		next
	}
	/^[a-z_][a-z0-9_]*(\{[a-z_]+="([^"\\]|\\[\\"n])*"(,[a-z_]+="([^"\\]|\\[\\"n])*")*\})? -?[0-9]+$/ {
		metric = $0; sub(/[{ ].*/, "", metric)
		key = $0; sub(/ -?[0-9]+$/, "", key)
		if (metric != name || !(metric in type)) wrong("a sample apart from its metric")
		if (key in seen) wrong("a sample twice")
		seen[key] = 1
		samples++
		next
	}
	{ wrong("neither a sample nor HELP nor TYPE") }
	END { if (!samples) { print "no sample"; failed = 1 } exit failed }' "$1"
}

# refuses LINE...: well_formed does
refuses() {
	{
		printf '# HELP a_total text\n# TYPE a_total counter\na_total{set="pp"} 1\n'
		printf '%s\n' "$@"
	} >"$tap_work/wrong"
	! well_formed "$tap_work/wrong" >"$said"
}
checker() {
	printf '# HELP a_total text\n# TYPE a_total counter\na_total{set="p\\\\\\"\\np"} 1\n' >"$tap_work/right"
	well_formed "$tap_work/right" && refuses 'a_total{set="pp"} 2' && refuses 'b_total 1' && refuses 'a_total{set="p"} x' &&
		refuses 'a_total{set="p"p"} 1' && refuses '# HELP b text' '# TYPE b counter' && refuses '# TYPE b gauge' && refuses ''
}
check the_checker_finds_mistakes checker

# prometheus_agrees FILE
prometheus_agrees() {
	$promtool check metrics <"$1"
}

nothing_up() {
	$ppctl metrics >"$said" && well_formed "$said" && says "$said" '^ppsplit_health\{set="pp"\} 2$' &&
		says "$said" '^ppsplit_finding\{set="pp",finding="not-up",level="down"\} 1$'
}
check nothing_up_is_a_value nothing_up

$ppctl up --cgroup "$LAB_CGROUP" --port 2525,2526 --split yes --proxy 127.0.0.2,192.0.2.0/24 >/dev/null
mkdir "$LAB_OUTSIDE/a\"b\\c"
$ppctl up --set other --cgroup "$LAB_OUTSIDE/a\"b\\c" --port 25 >/dev/null
mkdir "$LAB_OUTSIDE/x\"y\\z" "$LAB_OUTSIDE/one" "$LAB_OUTSIDE/two"
$ppctl proxy-cgroup add --set other "$LAB_OUTSIDE/x\"y\\z" "$LAB_OUTSIDE/one" "$LAB_OUTSIDE/two"
rmdir "$LAB_OUTSIDE/one" "$LAB_OUTSIDE/two"

all_sets() {
	$ppctl metrics >"$said" && well_formed "$said" || return 1
	says "$said" '^ppsplit_health\{set="pp"\} 1$' && says "$said" '^ppsplit_health\{set="other"\} 1$' &&
		says "$said" '^ppsplit_live_connections\{set="pp",port="2525",state="valid"\} 0$' &&
		says "$said" '^ppsplit_proxy_connections\{set="pp",proxy="192.0.2.0/24",state="bad"\} 0$' &&
		says "$said" '^ppsplit_bad_headers_total\{set="other",reason="signature"\} 0$' &&
		says "$said" 'cgroup="[^"]*/x\\"y\\\\z",state="valid"\} 0$'
}
check all_sets_and_strange_names all_sets
one_set() {
	$ppctl metrics --set other >"$said" && well_formed "$said" && ! grep -q 'set="pp"' "$said"
}
check one_set_alone one_set
promtool=build/programs/usr/bin/promtool
[ -x $promtool ] || promtool=$(command -v promtool)
# what Grafana would ask, as rules; of its variables it puts in the values
dashboard() {
	perl -MJSON::PP -0777 -ne 'print "groups:\n- name: dashboard\n  rules:\n";
		for my $panel (@{decode_json($_)->{panels}}) {
			for (map { $_->{expr} } @{$panel->{targets}}) {
				s/\$__rate_interval/5m/g;
				print "  - record: one\n    expr: ", JSON::PP->new->allow_nonref->encode($_), "\n";
			}
		}' docs/dashboard.json >"$tap_work/dashboard.yml" &&
		[ "$(grep -c expr "$tap_work/dashboard.yml")" -gt 20 ] && $promtool check rules "$tap_work/dashboard.yml"
}
if [ -n "$promtool" ]; then
	check promtool_finds_no_mistake prometheus_agrees "$said"
	check promtool_takes_the_alerts $promtool check rules docs/alerts.yml
	check each_alert_fires_when_it_is_to $promtool test rules selftests/programs/alerts.yml
	check promtool_takes_the_dashboards_expressions dashboard
else
	echo "ok - promtool_finds_no_mistake # SKIP there is no promtool (selftests/programs/fetch)"
fi

every_counter() {
	$ppctl metrics --set other >"$said"
	$ppctl status -v --set other | sed -n '/^counters/,$s/^  \([a-z0-9_]*\) .*/\1/p' >"$tap_work/counters"
	[ "$(wc -l <"$tap_work/counters")" -gt 40 ] || return 1
	while read -r name; do
		case $name in
		bad_*) says "$said" "^ppsplit_bad_headers_total\\{set=\"other\",reason=\"${name#bad_}\"\\} " ;;
		*) says "$said" "^ppsplit_${name}_total\\{set=\"other\"\\} " ;;
		esac || return 1
	done <"$tap_work/counters"
}
check every_counter_is_there every_counter

alerts_and_page() {
	$ppctl metrics >"$said"
	sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' "$said" | sort >"$tap_work/names"
	for file in docs/alerts.yml docs/dashboard.json; do
		grep -oh 'ppsplit_[a-z0-9_]*' $file | sort -u >"$tap_work/used"
		[ "$(wc -l <"$tap_work/used")" -gt 5 ] && ! comm -13 "$tap_work/names" "$tap_work/used" | grep . || return 1
	done
	grep -o '^| `ppsplit_[a-z_]*`' docs/metrics.md | tr -d '|` ' | sort >"$tap_work/page"
	! comm -13 "$tap_work/names" "$tap_work/page" | grep .
}
check alerts_dashboard_and_page_name_metrics_that_there_are alerts_and_page

file() {
	file=$tap_work/ppsplit.prom
	$ppctl metrics --output "$file" && well_formed "$file" && [ "$(stat -c %a "$file")" = 644 ] || return 1
	[ "$(find "$tap_work" -maxdepth 1 -name '*prom*' | wc -l)" = 1 ] || return 1
	echo old >"$file"
	# what reads it meanwhile has the old one, whole
	exec 3<"$file"
	$ppctl metrics --output "$file" && [ "$(cat <&3)" = old ] && well_formed "$file"
	exec 3<&-
	! $ppctl metrics --output "$tap_work/none/ppsplit.prom" 2>"$said" && says "$said" 'No such file'
}
check a_file_is_written_whole file
# in the place of what is no file a rename would put one: of /dev/null, for everybody
no_file() {
	mknod "$tap_work/null" c 1 3 && mkfifo "$tap_work/pipe" && ln -s /dev/null "$tap_work/link" && mkdir "$tap_work/folder" || return 1
	for name in null pipe link folder; do
		before=$(stat -c '%F %i' "$tap_work/$name")
		! timeout 20 $ppctl metrics --output "$tap_work/$name" >"$said" 2>&1 && says "$said" "/$name is (no regular file|a symbolic link)" || return 1
		[ "$(stat -c '%F %i' "$tap_work/$name")" = "$before" ] || return 1
	done
	[ "$(find "$tap_work" -name 'null*' | wc -l)" = 1 ]
}
check what_is_no_file_is_not_replaced no_file
full() {
	mkdir "$tap_work/full" && mount -t tmpfs -o size=16k tmpfs "$tap_work/full" || return 1
	echo old >"$tap_work/full/ppsplit.prom"
	dd if=/dev/zero of="$tap_work/full/rest" bs=1k 2>/dev/null
	! $ppctl metrics --output "$tap_work/full/ppsplit.prom" >"$said" 2>&1 && says "$said" 'No space left' &&
		[ "$(cat "$tap_work/full/ppsplit.prom")" = old ] && [ "$(find "$tap_work/full" -name 'ppsplit*' | wc -l)" = 1 ]
	result=$?
	umount "$tap_work/full"
	return $result
}
check a_full_disk_leaves_the_old_file full
$ppctl down --set other >/dev/null
$ppctl down --pin "$pin" --now >/dev/null
rmdir "$LAB_OUTSIDE/a\"b\\c" "$LAB_OUTSIDE/x\"y\\z"
tap_end
