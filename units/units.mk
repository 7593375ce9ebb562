# SPDX-License-Identifier: BSD-2-Clause
# systemd's units.

UNITS := units/mail.slice units/proxy.slice $(BUILD)/units/ppsplit.service \
	$(BUILD)/units/ppsplit-metrics.service units/ppsplit-metrics.timer
PPMTA_UNITS := $(BUILD)/units/ppmta.service

$(BUILD)/units/%: units/%.in FORCE
	@mkdir -p $(@D)
	$(Q)sed 's|@SBINDIR@|$(PREFIX)/sbin|' $< >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@
