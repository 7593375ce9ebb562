# SPDX-License-Identifier: BSD-2-Clause
# What keeps the tree in order: format, lint, the editor's database, coverage. HACKING.md is about them.

# The version whose format the tree has. Others differ in details: only this one checks.
CLANG_FORMAT ?= clang-format-14

## deps-lint: install what lint and fmt need (Debian 12's packages; as root)
deps-lint:
	$(Q)selftests/deps install lint

## fmt: lay the sources out as .clang-format says
fmt:
	$(Q)CLANG_FORMAT=$(CLANG_FORMAT) scripts/lint fix-format

## lint-quick: format, shell scripts, man pages, spelling
lint-quick:
	$(Q)CLANG_FORMAT=$(CLANG_FORMAT) scripts/lint format shell man spelling

## lint: the same, clang-tidy, and libpp.so's ABI against user/lib/libpp.abi
lint: $(LIBPP_SO) $(BUILD)/pp.skel.h compile_commands.json
	$(Q)CLANG_FORMAT=$(CLANG_FORMAT) LIBPP=$(LIBPP_SO) scripts/lint format shell man spelling abi tidy

## abi: write user/lib/libpp.abi anew, for a change of the ABI that is meant
abi: $(LIBPP_SO)
	$(Q)LIBPP=$(LIBPP_SO) scripts/lint write-abi

## compile_commands.json: the database for clangd and clang-tidy
compile_commands.json: scripts/compile-commands Makefile $(wildcard */*.mk user/*/*.c user/*/*/*.c bpf/*.c selftests/*/*.c)
	$(call say,GEN,$@)$(MAKE) --no-print-directory -nB V=1 all tests benches $(FUZZ)/parse $(FUZZ)/corpus/000 | \
		scripts/compile-commands >$@.new
	$(Q)mv $@.new $@

## coverage: lines and branches of user/ that the tests reach, into build/coverage (as root); COVERAGE_T= chooses
COVERAGE_T ?= unit net servers/ppmta-delivery servers/ppmta-dns servers/ppmta-tls
coverage: deps-if-missing
	$(Q)selftests/deps check coverage || selftests/deps install coverage
	$(Q)COVERAGE_T="$(COVERAGE_T)" scripts/coverage

.PHONY: deps-lint fmt lint-quick lint abi coverage
