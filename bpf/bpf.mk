# SPDX-License-Identifier: BSD-2-Clause
# The BPF object, and its skeleton for ppctl.

BPF_OBJECTS := $(BUILD)/bpf/pp.bpf.o
# linux/types.h wants asm/types.h, which is the same everywhere: of the machine that CC builds for, or of this one
BPF_HEADERS := $(wildcard $(foreach root,$(shell $(CC) -print-sysroot 2>/dev/null) /usr, \
	$(addsuffix /$(shell $(CC) -print-multiarch 2>/dev/null),$(root)/usr/include $(root)/include)))
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-function -I. -Iinclude \
	$(PREFIX_MAP) $(addprefix -idirafter ,$(BPF_HEADERS))

# for selftests/unit/headers_alone.sh
bpf-flags:
	@echo '$(BPF_CFLAGS)'
.PHONY: bpf-flags

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(FLAGS)
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(BUILD)/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf >$@
