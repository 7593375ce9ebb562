// SPDX-License-Identifier: BSD-2-Clause
/*
 * The functions without a size, as symbols: for programs that were built before pp.h passed one,
 * and for callers without pp.h. They fill the struct pp_origin of the first version.
 *
 * pp.h is not included here: it has inline functions of these names.
 */
#include <stddef.h>

#include "first_size.h"

struct pp_origin;

int pp_parse_sized(const void *buf, size_t len, struct pp_origin *origin, size_t size);
int pp_lookup_sized(int fd, struct pp_origin *origin, size_t size);
int pp_lookup_wait_sized(int fd, struct pp_origin *origin, size_t size, int timeout_ms);
int pp_read_header_tlvs_sized(int fd, struct pp_origin *origin, size_t size, void *tlvs,
			      size_t tlvs_size, int timeout_ms);

int pp_parse(const void *buf, size_t len, struct pp_origin *origin);
int pp_lookup(int fd, struct pp_origin *origin);
int pp_lookup_wait(int fd, struct pp_origin *origin, int timeout_ms);
int pp_read_header(int fd, struct pp_origin *origin, int timeout_ms);
int pp_read_header_tlvs(int fd, struct pp_origin *origin, void *tlvs, size_t size, int timeout_ms);

int pp_parse(const void *buf, size_t len, struct pp_origin *origin)
{
	return pp_parse_sized(buf, len, origin, PP_ORIGIN_FIRST_SIZE);
}

int pp_lookup(int fd, struct pp_origin *origin)
{
	return pp_lookup_sized(fd, origin, PP_ORIGIN_FIRST_SIZE);
}

int pp_lookup_wait(int fd, struct pp_origin *origin, int timeout_ms)
{
	return pp_lookup_wait_sized(fd, origin, PP_ORIGIN_FIRST_SIZE, timeout_ms);
}

int pp_read_header(int fd, struct pp_origin *origin, int timeout_ms)
{
	return pp_read_header_tlvs_sized(fd, origin, PP_ORIGIN_FIRST_SIZE, NULL, 0, timeout_ms);
}

int pp_read_header_tlvs(int fd, struct pp_origin *origin, void *tlvs, size_t size, int timeout_ms)
{
	return pp_read_header_tlvs_sized(fd, origin, PP_ORIGIN_FIRST_SIZE, tlvs, size, timeout_ms);
}
