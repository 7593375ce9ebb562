# SPDX-License-Identifier: BSD-2-Clause
# The pictures of docs/, made from text by Debian's graphviz. What it makes is checked in: only a change
# of a picture needs graphviz.

## pictures: draw docs/pictures/*.svg again from *.dot (needs graphviz)
pictures: $(patsubst %.dot,%.svg,$(wildcard docs/pictures/*.dot))

docs/pictures/%.svg: docs/pictures/%.dot
	$(call say,DOT,$@)dot -Tsvg $< >$@

.PHONY: pictures
