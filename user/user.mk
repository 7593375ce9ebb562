# SPDX-License-Identifier: BSD-2-Clause
# libpp (static and shared), ppctl, ppmta, the hook for OCI runtimes. user/common is for programs alone, never for libpp.

LIB_SOURCES := $(wildcard user/lib/*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
COMMON_SOURCES := $(wildcard user/common/*.c)
COMMON_OBJECTS := $(COMMON_SOURCES:%.c=$(BUILD)/%.o)
COMMON := $(BUILD)/user/common.a
PPCTL_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard user/ppctl/*.c))
PPMTA_SOURCES := $(wildcard user/ppmta/*.c user/ppmta/*/*.c)
PPMTA_OBJECTS := $(PPMTA_SOURCES:%.c=$(BUILD)/%.o)
PPMTA_LIBS := -lssl -lcrypto -lcares -lspf2 -lpcre2-8 -lidn2 -lresolv -lm -lpthread

LIBPP_SO := $(BUILD)/lib/libpp.so.$(VERSION)
LIBS := $(BUILD)/lib/libpp.a $(LIBPP_SO) $(BUILD)/lib/pp.pc
OCI_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard user/oci/*.c))
PROGRAMS := $(BUILD)/bin/ppctl $(BUILD)/bin/ppsplit-oci-hook
OCI_HOOK := $(BUILD)/oci/ppsplit.json
PPMTA := $(BUILD)/bin/ppmta

$(BUILD)/user/%.o: user/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(COMPILE) -MMD -MP -fPIC -c $< -o $@

$(BUILD)/lib/libpp.a: $(LIB_OBJECTS)
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(COMMON): $(COMMON_OBJECTS)
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(LIBPP_SO): $(LIB_OBJECTS) user/lib/libpp.map
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -shared -Wl,-soname,libpp.so.$(SOVERSION) \
		-Wl,--version-script,user/lib/libpp.map $(LIB_OBJECTS) -o $@
	$(Q)ln -sf $(@F) $(@D)/libpp.so.$(SOVERSION)
	$(Q)ln -sf libpp.so.$(SOVERSION) $(@D)/libpp.so

$(BUILD)/lib/pp.pc: user/lib/pp.pc.in Makefile FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' $< >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(PPCTL_OBJECTS): $(BUILD)/pp.skel.h
$(BUILD)/bin/ppctl: $(PPCTL_OBJECTS) $(COMMON) $(BUILD)/lib/libpp.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ -o $@ -lbpf -ljson-c -linih

$(BUILD)/bin/ppsplit-oci-hook: $(OCI_OBJECTS) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ -o $@ -ljson-c

$(OCI_HOOK): user/oci/ppsplit.json.in FORCE
	@mkdir -p $(@D)
	$(Q)sed 's|@SBINDIR@|$(PREFIX)/sbin|' $< >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(PPMTA): $(PPMTA_OBJECTS) $(COMMON) $(BUILD)/lib/libpp.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ -o $@ $(PPMTA_LIBS)

FORCE:
.PHONY: FORCE
