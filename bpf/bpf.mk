# SPDX-License-Identifier: BSD-2-Clause
# The BPF object, and its skeleton for ppctl.

BPF_OBJECTS := $(BUILD)/bpf/pp.bpf.o
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-function -I. -Iinclude \
	-idirafter /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)

# for selftests/unit/headers_alone.sh
bpf-flags:
	@echo '$(BPF_CFLAGS)'
.PHONY: bpf-flags

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(FLAGS)
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf >$@
