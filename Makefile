# SPDX-License-Identifier: BSD-2-Clause
# ppsplit. `make help` lists the targets; V=1 shows every command.

# debian/changelog has the version, too. include/pp/version.h is written from this one, and committed with it.
VERSION := 0.1.0
SOVERSION := 1

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
BUILD ?= build
# systemd looks there for PREFIX=/usr and for /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL ?= bpftool
CFLAGS ?= -O2 -g
CPPFLAGS ?=
LDFLAGS ?=
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-address-of-packed-member
ifdef CI
WARNINGS += -Werror
endif
# What is built does not tell in which folder.
PREFIX_MAP := -ffile-prefix-map=$(CURDIR)=.
ifneq ($(abspath $(BUILD)),$(CURDIR)/build)
PREFIX_MAP += -ffile-prefix-map=$(abspath $(BUILD))=./build
endif
BASE_CFLAGS := -std=gnu11 $(WARNINGS) $(PREFIX_MAP) -Iinclude -I$(BUILD)

# The builder's flags come last: of two that contradict each other, the last one counts.
COMPILE = $(CC) $(BASE_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) $(CFLAGS) $(LDFLAGS)

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

# Of "1.2.3", or "1.2.3~rc1", the number is 0x010203.
VERSION_H := include/pp/version.h
$(VERSION_H): export VERSION_NOW = $(VERSION)
$(VERSION_H): FORCE
	@mkdir -p $(BUILD)
	@printf '%s\n' "$$VERSION_NOW" | awk -F. '{ \
		print "/* SPDX-License-Identifier: BSD-2-Clause */"; \
		print "/*\n * The version: written by make from VERSION in the Makefile. Included by pp.h.\n */"; \
		print "#ifndef PP_VERSION_H\n#define PP_VERSION_H\n"; \
		printf "#define PP_VERSION\t  \"%s\"\n", $$0; \
		printf "#define PP_VERSION_NUMBER 0x%02x%02x%02x /* two digits each: major, minor, patch */\n", $$1, $$2, $$3; \
		print "\n#endif" }' >$(BUILD)/version.h
	@cmp -s $(BUILD)/version.h $@ || cp $(BUILD)/version.h $@

# All that is compiled depends on this file. It holds the commands with their flags, and is written only
# when they change.
FLAGS := $(BUILD)/.flags
$(FLAGS): $(VERSION_H)
$(FLAGS): export FLAGS_NOW = $(COMPILE) $(LDFLAGS) $(CLANG) $(BPF_CFLAGS) $(SANITIZE)
$(FLAGS): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS_NOW" | cmp -s - $@ || printf '%s\n' "$$FLAGS_NOW" >$@

include user/user.mk
include bpf/bpf.mk
include units/units.mk
include selftests/selftests.mk
include docs/docs.mk
include scripts/scripts.mk

## all: build libpp, the BPF object, ppctl, the hook for OCI runtimes and systemd's units
all: $(BPF_OBJECTS) $(LIBS) $(PROGRAMS) $(OCI_HOOK) $(UNITS)

## ppmta: build the reference mail server, which needs more libraries
ppmta: $(PPMTA) $(PPMTA_UNITS)

## deps: install what building, testing and the demo need (Debian packages; as root)
deps:
	$(Q)selftests/deps install

## demo: HAProxy in front of ppmta, mail through both, the origin in the log (as root)
demo: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all ppmta tools
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

## check-packages: the Debian packages with systemd, for releases (as root); T= chooses, SUITE=trixie boots that
check-packages: deps-if-missing
	$(Q)selftests/deps check packages || selftests/deps install packages
	$(Q)$(MAKE) --no-print-directory all tools deb
	$(Q)scripts/deb $(BUILD)/deb/next $(VERSION)+next >/dev/null
	$(Q)env CHECK_TARGET=$@ selftests/check packages

## check-containers: podman, Docker and systemd-nspawn do what docs/containers.md says (as root); T=, SUITE=trixie
check-containers: deps-if-missing
	$(Q)selftests/deps check containers || selftests/deps install containers
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)env CHECK_TARGET=$@ selftests/check containers

## check-toolchains: builds, tests and runs in clean roots of bookworm, trixie and sid (as root); T= chooses
check-toolchains: deps-if-missing
	$(Q)selftests/deps check packages || selftests/deps install packages
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)env CHECK_TARGET=$@ CHECK_SILENCE=7200 selftests/check toolchains

## vm-matrix: what works on which of Debian's kernels, as docs/kernels.md, for releases (as root); K= chooses
vm-matrix: deps-if-missing
	$(Q)selftests/deps check matrix || selftests/deps install matrix
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)selftests/vm/matrix $(K)

## soak: long runs, an hour and more (as root); SOAK_PARTS=, SOAK_MINUTES= and K= choose: see selftests/soak
soak: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)selftests/soak

## bench: what each way to read the header costs, here and in instructions under QEMU (as root); GROUPS=, BENCH_SUITES= choose
bench: deps-if-missing
	$(Q)selftests/deps check bench || selftests/deps install bench
	$(Q)$(MAKE) --no-print-directory all benches
	$(Q)selftests/bench/run $(GROUPS)

## bench-servers: Debian's Postfix, Exim and Dovecot behind HAProxy: mails a second, and their processor time (as root); ROUNDS= (5), MAILS= (200)
bench-servers: deps-if-missing
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)selftests/servers/fetch "$(CURDIR)/build/servers"
	$(Q)LAB_SERVERS="$(CURDIR)/build/servers" build/selftests/tools/lab selftests/bench/servers $(or $(ROUNDS),5) $(or $(MAILS),200)

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

# What is installed, as MODE:FOLDER:FILE; the mode "link" copies a symbolic link. install and uninstall
# both go through this list.
files = $(foreach file,$(3),$(1):$(2):$(file))
INSTALLED = $(call files,755,$(PREFIX)/sbin,$(PROGRAMS)) \
	$(call files,644,$(PREFIX)/include/pp,$(HEADERS)) \
	$(call files,644,$(LIBDIR),$(BUILD)/lib/libpp.a) \
	$(call files,755,$(LIBDIR),$(LIBPP_SO)) \
	$(call files,link,$(LIBDIR),$(BUILD)/lib/libpp.so.$(SOVERSION) $(BUILD)/lib/libpp.so) \
	$(call files,644,$(LIBDIR)/pkgconfig,$(BUILD)/lib/pp.pc) \
	$(call files,644,$(LIBDIR)/ppsplit,$(BPF_OBJECTS)) \
	$(call files,644,$(UNITDIR),$(UNITS)) \
	$(call files,644,$(PREFIX)/share/containers/oci/hooks.d,$(OCI_HOOK)) \
	$(call man,$(filter-out $(PPMTA_PAGES),$(wildcard docs/man/*.[1-9]))) \
	$(call files,644,$(BASH_COMPLETIONS),user/ppctl/completion/ppctl) \
	$(call files,644,$(ZSH_COMPLETIONS),user/ppctl/completion/_ppctl) \
	$(call files,644,$(PREFIX)/share/doc/ppsplit,CHANGELOG.md docs/ppsplit.conf \
		docs/alerts.yml docs/dashboard.json $(wildcard docs/*.md)) \
	$(call files,644,$(PREFIX)/share/doc/ppsplit/examples,$(wildcard docs/examples/*))
INSTALLED_PPMTA = $(call files,755,$(PREFIX)/sbin,$(PPMTA)) \
	$(call files,644,$(UNITDIR),$(PPMTA_UNITS)) \
	$(call man,$(PPMTA_PAGES))
PPMTA_PAGES := docs/man/ppmta.8 docs/man/ppmta.conf.5
man = $(foreach page,$(1),$(call files,644,$(PREFIX)/share/man/man$(subst .,,$(suffix $(page))),$(page)))
HEADERS := include/pp/pp.h include/pp/abi.h include/pp/version.h
# Folders that are ppsplit's alone
OWN_FOLDERS = $(LIBDIR)/ppsplit $(PREFIX)/share/doc/ppsplit/examples $(PREFIX)/share/doc/ppsplit $(PREFIX)/include/pp

# $(call put,LIST)
put = set -e; for entry in $(1); do \
		file=$${entry\#\#*:} folder=$${entry\#*:} folder="$(DESTDIR)$${folder%:*}"; \
		install -d "$$folder"; \
		case $$entry in \
		link:*) cp -Pf "$$file" "$$folder" ;; \
		*) install -m "$${entry%%:*}" "$$file" "$$folder" ;; \
		esac; \
	done

## install: all but ppmta; PREFIX (/usr/local), LIBDIR, UNITDIR and DESTDIR say where
install: all
	$(Q)$(call put,$(INSTALLED))
	$(Q)[ -n "$(DESTDIR)" ] || scripts/ldconfig-hint "$(LIBDIR)" libpp.so.$(SOVERSION)

## install-ppmta: ppmta
install-ppmta: ppmta
	$(Q)$(call put,$(INSTALLED_PPMTA))

## uninstall: take away what install and install-ppmta put there
uninstall:
	$(Q)for entry in $(INSTALLED) $(INSTALLED_PPMTA); do \
		file=$${entry##*:} folder=$${entry#*:}; \
		rm -f "$(DESTDIR)$${folder%:*}/$${file##*/}"; \
	done
	$(Q)-rmdir $(addprefix $(DESTDIR),$(OWN_FOLDERS)) 2>/dev/null || true

## deb: Debian packages, into build/deb
deb:
	$(Q)scripts/deb $(BUILD)/deb

## clean: remove what was built (what was downloaded stays: build/vm, sysroots, servers, programs, roots, containers)
clean:
	$(Q)find $(BUILD) -mindepth 1 -maxdepth 1 ! -name vm ! -name sysroots ! -name matrix ! -name servers ! -name programs ! -name roots ! -name containers -exec rm -rf {} + 2>/dev/null || true

## help: this list
help:
	@sed -n 's/^## \([^:]*\): /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-21s %s\n", $$1, $$2 }'

.PHONY: all ppmta deps demo check check-all check-packages check-containers check-toolchains vm-matrix soak bench bench-servers fuzz deps-if-missing install install-ppmta uninstall deb clean help \
	tests tools benches

-include $(wildcard $(BUILD)/user/*/*.d $(BUILD)/user/*/*/*.d $(BUILD)/bpf/*.d)
