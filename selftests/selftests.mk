# SPDX-License-Identifier: BSD-2-Clause
# Tests, their tools, benchmarks. Unit tests are built twice: plain, and with sanitizers.

UNIT_NAMES := decode line tlv growth read_header array number endpoint file prefix clock name utf8 config limit
NET_NAMES := $(patsubst selftests/net/%.c,%,$(wildcard selftests/net/*.c))
TOOL_NAMES := $(patsubst selftests/tools/%.c,%,$(filter-out %/fault.c,$(wildcard selftests/tools/*.c)))

TEST_BIN := $(BUILD)/selftests
UNIT_TESTS := $(UNIT_NAMES:%=$(TEST_BIN)/unit/%) $(UNIT_NAMES:%=$(TEST_BIN)/unit/%-asan)
NET_TESTS := $(NET_NAMES:%=$(TEST_BIN)/net/%)
NEXT := $(TEST_BIN)/next/newer/ppctl
EXAMPLES := $(patsubst docs/examples/%.c,$(TEST_BIN)/examples/%,$(wildcard docs/examples/*.c))
TOOLS := $(TOOL_NAMES:%=$(TEST_BIN)/tools/%) $(TEST_BIN)/tools/fault.so
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
WRAP := -Wl,--wrap=recv,--wrap=poll,--wrap=setsockopt,--wrap=getsockopt,--wrap=getpeername,--wrap=getsockname

# net/ tests of ppmta whose line "check:" says "sanitized" run with these, too
SANITIZED := $(TEST_BIN)/ppmta-asan $(TEST_BIN)/ppmta-tsan

tests: tools $(PPMTA) $(SANITIZED) $(PPMTA_UNITS) $(UNIT_TESTS) $(NET_TESTS) $(TEST_BIN)/others.bpf.o $(NEXT) $(EXAMPLES)
tools: $(TOOLS)


$(TEST_BIN)/unit/line $(TEST_BIN)/unit/line-asan: bpf/line.h

$(TEST_BIN)/unit/config $(TEST_BIN)/unit/config-asan: user/ppctl/config.c user/ppctl/word.c user/ppctl/config.h user/ppctl/word.h \
		selftests/lib/mistakes.c selftests/lib/mistakes.h
$(TEST_BIN)/unit/config $(TEST_BIN)/unit/config-asan: UNIT_LDFLAGS := -linih

$(TEST_BIN)/unit/limit $(TEST_BIN)/unit/limit-asan: user/ppmta/policy/limit.c user/ppmta/util/pool.c $(wildcard user/ppmta/*/*.h)
$(TEST_BIN)/unit/limit $(TEST_BIN)/unit/limit-asan: UNIT_LDFLAGS := -lcrypto -lm

$(TEST_BIN)/unit/read_header $(TEST_BIN)/unit/read_header-asan: UNIT_LDFLAGS := $(WRAP)
$(TEST_BIN)/unit/read_header $(TEST_BIN)/unit/read_header-asan: selftests/lib/urgent.c selftests/lib/urgent.h

$(TEST_BIN)/unit/%: selftests/unit/%.c selftests/unit/headers.c selftests/lib/case.c $(COMMON) $(BUILD)/lib/libpp.a selftests/unit/headers.h $(FLAGS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(COMPILE) $(LDFLAGS) $(filter %.c,$^) $(filter %.a,$^) \
		-o $@ $(UNIT_LDFLAGS) -lcmocka -lpthread

$(TEST_BIN)/unit/%-asan: selftests/unit/%.c selftests/unit/headers.c selftests/lib/case.c $(LIB_SOURCES) $(COMMON_SOURCES) selftests/unit/headers.h \
		$(wildcard include/pp/*.h user/common/*.h)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(BASE_CFLAGS) $(CPPFLAGS) -O1 -g $(SANITIZE) $(LDFLAGS) \
		$(filter %.c,$^) -o $@ $(UNIT_LDFLAGS) -lcmocka -lpthread

$(TEST_BIN)/ppmta-tsan: SANITIZE := -fsanitize=thread
$(SANITIZED): $(LIB_SOURCES) $(COMMON_SOURCES) $(PPMTA_SOURCES) $(wildcard include/pp/*.h user/*/*.h user/*/*/*.h)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(BASE_CFLAGS) $(CPPFLAGS) -O1 -g $(SANITIZE) $(LDFLAGS) \
		$(filter %.c,$^) -o $@ $(PPMTA_LIBS)

# What the tests of net/ share is compiled once. case.o is in each of them, of the others what is used.
NET_LIB_OBJECTS := $(patsubst selftests/%.c,$(TEST_BIN)/%.o,$(filter-out %.bpf.c,$(wildcard selftests/lib/*.c)) \
	selftests/unit/headers.c)
NET_HEADERS := $(wildcard selftests/lib/*.h) selftests/unit/headers.h $(wildcard include/pp/*.h)
NET_LIB := $(TEST_BIN)/lib/case.o $(TEST_BIN)/lib/net.a

$(NET_LIB_OBJECTS): $(TEST_BIN)/%.o: selftests/%.c $(NET_HEADERS) $(FLAGS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(COMPILE) -c $< -o $@

$(TEST_BIN)/lib/net.a: $(NET_LIB_OBJECTS)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(TEST_BIN)/net/%: selftests/net/%.c $(NET_LIB) $(BUILD)/lib/libpp.a $(NET_HEADERS) $(FLAGS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(COMPILE) $(LDFLAGS) $(filter %.c %.o,$^) \
		$(filter %.a,$^) -o $@ -lcmocka -lpthread -lbpf $(NET_LIBS)
$(TEST_BIN)/net/json: NET_LIBS := -ljson-c

# BPF programs that the tests load beside ppsplit's
$(TEST_BIN)/%.bpf.o: selftests/lib/%.bpf.c $(wildcard selftests/lib/*.h) $(FLAGS)
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(TEST_BIN)/examples/%: docs/examples/%.c $(BUILD)/lib/libpp.a $(FLAGS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(COMPILE) $(LDFLAGS) $(filter %.c %.a,$^) -o $@ -lssl -lcrypto -lpthread

# ppctl of later versions
$(NEXT): $(wildcard selftests/next/*) Makefile $(VERSION_H) vmlinux.h $(wildcard bpf/* include/pp/* user/ppctl/*.[ch] \
		user/common/*.[ch] user/lib/*.[ch])
	$(call say,NEXT,$(TEST_BIN)/next)selftests/next/make $(TEST_BIN)/next

$(TEST_BIN)/tools/%: selftests/tools/%.c selftests/lib/address.h $(FLAGS)
	@mkdir -p $(@D)
	$(call say,TOOL,$@)$(COMPILE) $(LDFLAGS) $< -o $@ $(TOOL_LIBS)
$(TEST_BIN)/tools/verify $(TEST_BIN)/tools/layout $(TEST_BIN)/tools/calls: TOOL_LIBS := -lbpf

$(TEST_BIN)/tools/fault.so: selftests/tools/fault.c $(FLAGS)
	@mkdir -p $(@D)
	$(call say,TOOL,$@)$(COMPILE) $(LDFLAGS) -fPIC -shared $< -o $@ -ldl

BENCH := $(TEST_BIN)/bench

$(BENCH): $(wildcard selftests/bench/*.[ch]) $(BUILD)/lib/libpp.a $(FLAGS)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)$(COMPILE) $(LDFLAGS) $(filter %.c %.a,$^) \
		-o $@ -lbpf -ljson-c

benches: all tools $(BENCH)

FUZZ := $(TEST_BIN)/fuzz
FUZZ_SECONDS ?= 60

$(FUZZ)/parse: selftests/fuzz/parse.c $(LIB_SOURCES) $(wildcard include/pp/*.h) $(FLAGS)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)$(CLANG) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-std=gnu11 -Iinclude $(filter %.c,$^) -o $@

$(FUZZ)/corpus/000: selftests/fuzz/corpus.c selftests/unit/headers.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$(@D))$(CC) $(CFLAGS) $^ -o $(FUZZ)/make-corpus
	$(Q)$(FUZZ)/make-corpus $(@D)

fuzz-run: $(FUZZ)/parse $(FUZZ)/corpus/000
	$(Q)$(FUZZ)/parse -max_total_time=$(FUZZ_SECONDS) -max_len=17000 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus
.PHONY: fuzz-run

# says nothing where there is nothing to do
tests tools:
	@:
