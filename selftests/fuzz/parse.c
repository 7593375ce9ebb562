// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target for the decoder: `make fuzz`. Not only that nothing crashes: the answers to a
 * header's beginnings have to agree with the answer to the whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pp/pp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int holds)
{
	if (!holds)
		abort();
}

/* On a copy of exactly @size bytes, so that a read behind them is seen. */
static int parse(const uint8_t *data, size_t size, struct pp_origin *origin)
{
	uint8_t *copy = malloc(size ? size : 1);
	int result;

	memcpy(copy, data, size);
	result = pp_parse(copy, size, origin);
	free(copy);
	return result;
}

static void walk_tlvs(const uint8_t *header, const struct pp_origin *origin)
{
	struct pp_tlv tlv;
	size_t offset = 0;
	int result;

	do
		result = pp_tlv_next(header + origin->header_len - origin->tlv_len, origin->tlv_len,
				     &offset, &tlv);
	while (result == 1);
	/* the TLVs of UNSPEC are skipped, not checked */
	insist(result == 0 || origin->family == AF_UNSPEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin, again;
	size_t cut = size ? data[size / 2] * size / 256 : 0;
	int result = parse(data, size, &origin), shorter = parse(data, cut, &again);

	insist(result == -EBADMSG || (result >= 0 && (size_t)result <= size));
	if (shorter < 0)
		insist(result < 0); /* what is bad stays bad */
	if (result == 0)
		insist(shorter == 0); /* what needs more has needed more before */
	if (result > 0) {
		insist((size_t)result > cut ? shorter == 0 : shorter == result);
		insist(origin.header_len == result);
		insist(pp_origin_print(&origin, text, sizeof(text)) < (int)sizeof(text));
		walk_tlvs(data, &origin);
	}
	return 0;
}
