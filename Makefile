# SPDX-License-Identifier: BSD-2-Clause
# ppsplit. `make help` lists the targets; V=1 shows every command.

VERSION := 0.1.0
SOVERSION := 1

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
BUILD := build

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= bpftool
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-address-of-packed-member
ifdef CI
WARNINGS += -Werror
endif
BASE_CFLAGS = -std=gnu11 $(WARNINGS) -Iinclude -I$(BUILD) -DPP_VERSION='"$(VERSION)"' -MMD -MP

V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' $(1) $(2);
else
Q :=
say =
endif

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

include user/user.mk
include bpf/bpf.mk
include selftests/selftests.mk
include docs/docs.mk

## all: build libpp, the BPF object, ppctl and ppmta
all: $(BPF_OBJECTS) $(LIBS) $(PROGRAMS)

## deps: install what building, testing and the demo need (Debian packages; as root)
deps:
	$(Q)selftests/deps install

## demo: HAProxy in front of ppmta, mail through both, the origin in the log (as root)
demo: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)selftests/demo/run

# env: make starts selftests/check itself then, with no shell between them that a signal would end first
## check: all tests, what depends on the kernel also under QEMU (as root); last line: N passed, N failed, N skipped
## check T=: some of them: T=net/gate, T=unit, T=servers/exim, or one case: T=net/gate/NAME
## check K=: the kernels under QEMU: K=bookworm, K=trixie, K=none
check: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)env CHECK_TARGET=$@ selftests/check

## check-all: the same with all tests under QEMU that can run there, for releases
check-all: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)env CHECK_TARGET=$@ selftests/check all

## soak: long runs, an hour and more (as root); SOAK_PARTS=, SOAK_MINUTES= and K= choose: see selftests/soak
soak: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)selftests/soak

## bench: connections per second and server time of each way to read the header (as root)
bench: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all benches
	$(Q)selftests/bench/run

## fuzz: the decoder under libFuzzer, for FUZZ_SECONDS (60)
fuzz: deps-if-missing
	$(Q)$(MAKE) --no-print-directory fuzz-run

deps-if-missing:
	$(Q)selftests/deps check || selftests/deps install

## vmlinux.h: make it anew from this machine's kernel
ifneq ($(filter vmlinux.h,$(MAKECMDGOALS)),)
.PHONY: vmlinux.h
vmlinux.h:
	$(call say,GEN,$@)$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c | sh bpf/vmlinux.sh >$@.new
	$(Q)mv $@.new $@
endif

## fmt: lay the sources out as .clang-format says
fmt:
	$(Q)git ls-files '*.c' '*.h' | grep -v '^vmlinux.h$$' | xargs clang-format -i

## install: PREFIX (/usr/local) and DESTDIR say where
install: all
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(LIBDIR)/ppsplit $(DESTDIR)$(PREFIX)/include/pp \
		$(DESTDIR)$(PREFIX)/share/man/man3 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/doc/ppsplit
	$(Q)install -m 755 $(BUILD)/bin/ppctl $(BUILD)/bin/ppmta $(DESTDIR)$(PREFIX)/sbin
	$(Q)install -m 644 include/pp/pp.h include/pp/abi.h $(DESTDIR)$(PREFIX)/include/pp
	$(Q)install -m 644 $(BUILD)/lib/libpp.a $(DESTDIR)$(LIBDIR)
	$(Q)install -m 755 $(BUILD)/lib/libpp.so.$(VERSION) $(DESTDIR)$(LIBDIR)
	$(Q)ln -sf libpp.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libpp.so.$(SOVERSION)
	$(Q)ln -sf libpp.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libpp.so
	$(Q)install -m 644 $(BUILD)/lib/pp.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	$(Q)install -m 644 $(BPF_OBJECTS) $(DESTDIR)$(LIBDIR)/ppsplit
	$(Q)install -m 644 docs/man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3
	$(Q)install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	$(Q)install -m 644 docs/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7
	$(Q)install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	$(Q)install -m 644 docs/ppmta.service $(DESTDIR)$(PREFIX)/share/doc/ppsplit

## uninstall: take away what install put there
uninstall:
	$(Q)rm -f $(DESTDIR)$(PREFIX)/sbin/ppctl $(DESTDIR)$(PREFIX)/sbin/ppmta \
		$(DESTDIR)$(PREFIX)/include/pp/pp.h $(DESTDIR)$(PREFIX)/include/pp/abi.h \
		$(DESTDIR)$(LIBDIR)/libpp.a $(DESTDIR)$(LIBDIR)/libpp.so \
		$(DESTDIR)$(LIBDIR)/libpp.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libpp.so.$(VERSION) \
		$(DESTDIR)$(LIBDIR)/pkgconfig/pp.pc \
		$(addprefix $(DESTDIR)$(LIBDIR)/ppsplit/,$(notdir $(BPF_OBJECTS))) \
		$(addprefix $(DESTDIR)$(PREFIX)/share/man/man3/,$(notdir $(wildcard docs/man/*.3))) \
		$(addprefix $(DESTDIR)$(PREFIX)/share/man/man5/,$(notdir $(wildcard docs/man/*.5))) \
		$(addprefix $(DESTDIR)$(PREFIX)/share/man/man7/,$(notdir $(wildcard docs/man/*.7))) \
		$(DESTDIR)$(PREFIX)/share/doc/ppsplit/ppmta.service \
		$(addprefix $(DESTDIR)$(PREFIX)/share/man/man8/,$(notdir $(wildcard docs/man/*.8)))
	$(Q)-rmdir $(DESTDIR)$(LIBDIR)/ppsplit $(DESTDIR)$(PREFIX)/share/doc/ppsplit $(DESTDIR)$(PREFIX)/include/pp 2>/dev/null

## clean: remove what was built (what was downloaded stays: build/vm, build/servers)
clean:
	$(Q)find $(BUILD) -mindepth 1 -maxdepth 1 ! -name vm ! -name servers -exec rm -rf {} + 2>/dev/null || true

## help: this list
help:
	@sed -n 's/^## \([^:]*\): /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-12s %s\n", $$1, $$2 }'

.PHONY: all deps demo check check-all soak bench fuzz deps-if-missing fmt install uninstall clean help \
	tests tools benches

-include $(wildcard $(BUILD)/user/*/*.d $(BUILD)/bpf/*.d)
