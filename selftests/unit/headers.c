// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of headers. Sections are those of HAProxy's doc/proxy-protocol.txt.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "headers.h"

#define V1(rule, text, origin)                  \
	{                                       \
		rule, text, NULL, WHOLE, origin \
	}
#define V1_BAD(rule, text)                       \
	{                                        \
		rule, text, NULL, -EBADMSG, NULL \
	}
#define V1_MORE(rule, text)               \
	{                                 \
		rule, text, NULL, 0, NULL \
	}
#define V1_LEN(rule, text, len, org)       \
	{                                  \
		rule, text, NULL, len, org \
	}
#define V2(rule, hex, origin)                  \
	{                                      \
		rule, NULL, hex, WHOLE, origin \
	}
#define V2_BAD(rule, hex)                       \
	{                                       \
		rule, NULL, hex, -EBADMSG, NULL \
	}
#define V2_MORE(rule, hex)               \
	{                                \
		rule, NULL, hex, 0, NULL \
	}
#define V2_LEN(rule, hex, len, org)       \
	{                                 \
		rule, NULL, hex, len, org \
	}

#define SIG    "0d0a0d0a000d0a515549540a "
#define IP4    "c0000207 c6336401 1267 0019 " /* 192.0.2.7:4711 -> 198.51.100.1:25 */
#define IP6    "20010db8000000000000000000000007 20010db8000000000000000000000001 1267 0019 "
#define UN     "2f746d702f61 00*102 2f746d702f62 00*102 " /* /tmp/a -> /tmp/b */
#define ORG4   "PROXY v2 TCP 192.0.2.7:4711 -> 198.51.100.1:25"
#define ORG6   "PROXY v2 TCP [2001:db8::7]:4711 -> [2001:db8::1]:25"
#define ORGUN  "PROXY v2 UNIX /tmp/a -> /tmp/b"
#define LOCAL1 "LOCAL v1"
#define LOCAL2 "LOCAL v2"

/* 2.1: PROXY TCP6 with @address as source. */
#define TCP6(address)	  "PROXY TCP6 " address " ::1 1 2\r\n"
#define ORG1_6(printed)	  "PROXY v1 TCP [" printed "]:1 -> [::1]:2"
#define TCP4(address)	  "PROXY TCP4 " address " 5.6.7.8 1 2\r\n"
#define TCP4_PORTS(ports) "PROXY TCP4 1.2.3.4 5.6.7.8 " ports "\r\n"
#define TEN		  "0123456789"
#define NINETY_ONE	  TEN TEN TEN TEN TEN TEN TEN TEN TEN "0"

const struct header_case header_cases[] = {
	/* 2.1, version 1: valid */
	V1("2.1 TCP4 line", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
	   "PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25"),
	V1("2.1 TCP4 lowest values", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n",
	   "PROXY v1 TCP 0.0.0.0:0 -> 0.0.0.0:0"),
	V1("2.1 TCP4 longest line, 56 bytes",
	   "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
	   "PROXY v1 TCP 255.255.255.255:65535 -> 255.255.255.255:65535"),
	V1("2.1 TCP4 one digit each", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	   "PROXY v1 TCP 1.2.3.4:1 -> 5.6.7.8:2"),
	V1("2.1 TCP4 zero within a number", "PROXY TCP4 10.100.200.0 20.0.105.50 10 1000\r\n",
	   "PROXY v1 TCP 10.100.200.0:10 -> 20.0.105.50:1000"),
	V1("2.1 TCP6 line", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n",
	   "PROXY v1 TCP [2001:db8::7]:4711 -> [2001:db8::1]:25"),
	V1("2.1 TCP6 longest line, 104 bytes",
	   "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	   "PROXY v1 TCP [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 -> "
	   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
	V1("RFC 4291 2.2 all zero as ::", TCP6("::"), ORG1_6("::")),
	V1("RFC 4291 2.2 :: in front", TCP6("::1"), ORG1_6("::1")),
	V1("RFC 4291 2.2 :: at the end", TCP6("1::"), ORG1_6("1::")),
	V1("RFC 4291 2.2 :: in the middle", TCP6("1:2::7:8"), ORG1_6("1:2::7:8")),
	V1("RFC 4291 2.2 eight groups", TCP6("1:2:3:4:5:6:7:8"), ORG1_6("1:2:3:4:5:6:7:8")),
	V1("RFC 4291 2.2 leading zeros in a group", TCP6("0001:0002:0003:0004:0005:0006:0007:0008"),
	   ORG1_6("1:2:3:4:5:6:7:8")),
	V1("RFC 4291 2.2 capital digits", TCP6("2001:DB8::ABCD"), ORG1_6("2001:db8::abcd")),
	V1("RFC 4291 2.2 mixed case", TCP6("2001:dB8::AbCd"), ORG1_6("2001:db8::abcd")),
	V1("RFC 4291 2.2 zero groups written out", TCP6("0:0:0:0:0:0:0:0"), ORG1_6("::")),
	V1("RFC 4291 2.2 :: for one group", TCP6("1::3:4:5:6:7:8"), ORG1_6("1:0:3:4:5:6:7:8")),
	V1("RFC 4291 2.2 :: for the last group", TCP6("1:2:3:4:5:6:7::"),
	   ORG1_6("1:2:3:4:5:6:7:0")),
	V1("RFC 4291 2.2 :: for the first group", TCP6("::2:3:4:5:6:7:8"),
	   ORG1_6("0:2:3:4:5:6:7:8")),
	V1("RFC 4291 2.2 IPv4 tail behind ::", TCP6("::1.2.3.4"), ORG1_6("::1.2.3.4")),
	V1("RFC 4291 2.2 mapped IPv4 tail", TCP6("::ffff:1.2.3.4"), ORG1_6("::ffff:1.2.3.4")),
	V1("RFC 4291 2.2 IPv4 tail behind six groups", TCP6("1:2:3:4:5:6:1.2.3.4"),
	   ORG1_6("1:2:3:4:5:6:102:304")),
	V1("RFC 4291 2.2 IPv4 tail of 255s", TCP6("64:ff9b::255.255.255.255"),
	   ORG1_6("64:ff9b::ffff:ffff")),
	V1("2.1 UNKNOWN, shortest line, 15 bytes", "PROXY UNKNOWN\r\n", LOCAL1),
	V1("2.1 UNKNOWN, rest is ignored", "PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n", LOCAL1),
	V1("2.1 UNKNOWN, rest need not make sense", "PROXY UNKNOWN \x01\x02 what ever\r\n", LOCAL1),
	V1("2.1 UNKNOWN, worst case of section 2.1",
	   "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	   LOCAL1),
	V1("2.1 UNKNOWN, 107 bytes", "PROXY UNKNOWN " NINETY_ONE "\r\n", LOCAL1),
	V1("2.1 a lone CR does not end the line", "PROXY UNKNOWN a\rb\r\n", LOCAL1),
	V1("2.1 a lone LF does not end the line", "PROXY UNKNOWN a\nb\r\n", LOCAL1),
	V1("2.1 CR CR LF ends at the second CR", "PROXY UNKNOWN a\r\r\n", LOCAL1),
	V1("2.1 UNKNOWN, a blank and nothing", "PROXY UNKNOWN \r\n", LOCAL1),
	V1("2.1 UNKNOWN, a blank and CR CR LF", "PROXY UNKNOWN \r\r\n", LOCAL1),
	V1_LEN("2 payload follows, TCP4", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nEHLO x\r\n", 32,
	       "PROXY v1 TCP 1.2.3.4:1 -> 5.6.7.8:2"),
	V1_LEN("2 payload follows, UNKNOWN", "PROXY UNKNOWN\r\nEHLO x\r\n", 15, LOCAL1),
	V1_LEN("2 a second header is payload", "PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n", 15, LOCAL1),

	/* 2.1: more is needed */
	V1_MORE("2 nothing yet", ""),
	V1_MORE("2.1 first letter", "P"),
	V1_MORE("2.1 no family yet", "PROXY "),
	V1_MORE("2.1 half a family", "PROXY TC"),
	V1_MORE("2.1 half UNKNOWN", "PROXY UNKN"),
	V1_MORE("2.1 no line end yet", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2"),
	V1_MORE("2.1 CR without its LF yet", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r"),
	V1_MORE("2.1 UNKNOWN, CR without its LF yet", "PROXY UNKNOWN\r"),
	V1_MORE("2.1 UNKNOWN of 106 bytes without end", "PROXY UNKNOWN " NINETY_ONE "\r"),

	/* 2.1: invalid */
	V1_BAD("2.1 UNKNOWN, CR CR LF without a blank", "PROXY UNKNOWN\r\r\n"),
	V1_BAD("2.1 UNKNOWN, CR and another byte", "PROXY UNKNOWN\ra\r\n"),
	V1_BAD("2.1 UNKNOWN, LF alone", "PROXY UNKNOWN\n"),
	V1_BAD("2 not a header: SMTP", "EHLO client.example\r\n"),
	V1_BAD("2 not a header: TLS", "\x16\x03\x01\x02"),
	V1_BAD("2 not a header: a line end", "\r\n\r\n\r\n\r\n\r\n\r\n"),
	V1_BAD("2.1 PROXY in small letters", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 another word that begins with PROX", "PROXIES TCP4\r\n"),
	V1_BAD("2.1 no blank behind PROXY", "PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 tab in place of a blank", "PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 blank in front", " PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 two blanks behind PROXY", "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 family in small letters", "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 TCP without number", "PROXY TCP 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 TCP5", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 TCP46", "PROXY TCP46 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 UDP4", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 unknown in small letters", "PROXY unknown\r\n"),
	V1_BAD("2.1 UNKNOWN runs on", "PROXY UNKNOWNX\r\n"),
	V1_BAD("2.1 UNKNOWN ended by LF alone is not ended", "PROXY UNKNOWN\n"),
	V1_BAD("2.1 no family", "PROXY \r\n"),
	V1_BAD("2.1 LF alone ends no line", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"),
	V1_BAD("2.1 CR without LF", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rE"),
	V1_BAD("2.1 blank in front of CR", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"),
	V1_BAD("2.1 no CR LF within 107 bytes", "PROXY UNKNOWN " NINETY_ONE "1\r\n"),
	V1_BAD("2.1 107 bytes, CR last", "PROXY UNKNOWN " NINETY_ONE "1\r"),
	V1_BAD("2.1 no CR LF in a long text", "PROXY UNKNOWN " NINETY_ONE NINETY_ONE),
	V1_BAD("2.1 two blanks between addresses", "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 two blanks between ports", TCP4_PORTS("1  2")),
	V1_BAD("2.1 missing destination", "PROXY TCP4 1.2.3.4 1 2\r\n"),
	V1_BAD("2.1 missing port", TCP4_PORTS("1")),
	V1_BAD("2.1 missing both ports", "PROXY TCP4 1.2.3.4 5.6.7.8\r\n"),
	V1_BAD("2.1 one field too many", TCP4_PORTS("1 2 3")),
	V1_BAD("2.1 IPv4 number over 255", TCP4("256.2.3.4")),
	V1_BAD("2.1 IPv4 number of four digits", TCP4("1.2.3.1000")),
	V1_BAD("2.1 IPv4 leading zero", TCP4("01.2.3.4")),
	V1_BAD("2.1 IPv4 leading zero of zero", TCP4("1.2.00.4")),
	V1_BAD("2.1 IPv4 three numbers", TCP4("1.2.3")),
	V1_BAD("2.1 IPv4 five numbers", TCP4("1.2.3.4.5")),
	V1_BAD("2.1 IPv4 empty number", TCP4("1..3.4")),
	V1_BAD("2.1 IPv4 dot in front", TCP4(".1.2.3")),
	V1_BAD("2.1 IPv4 dot at the end", TCP4("1.2.3.")),
	V1_BAD("2.1 IPv4 hexadecimal", TCP4("0x1.2.3.4")),
	V1_BAD("2.1 IPv4 sign", TCP4("+1.2.3.4")),
	V1_BAD("2.1 IPv4 minus", TCP4("-1.2.3.4")),
	V1_BAD("2.1 IPv4 letters", TCP4("a.b.c.d")),
	V1_BAD("2.1 IPv4 with prefix length", TCP4("1.2.3.4/32")),
	V1_BAD("2.1 IPv4 with a comma", TCP4("1,2,3,4")),
	V1_BAD("2.1 IPv4 number that overflows 32 bits", TCP4("4294967297.2.3.4")),
	V1_BAD("2.1 IPv4 destination over 255", "PROXY TCP4 1.2.3.4 5.6.7.256 1 2\r\n"),
	V1_BAD("2.1 IPv4 destination missing a number", "PROXY TCP4 1.2.3.4 5.6.7 1 2\r\n"),
	V1_BAD("2.1 IPv6 address in a TCP4 line", "PROXY TCP4 ::1 ::1 1 2\r\n"),
	V1_BAD("2.1 port over 65535", TCP4_PORTS("65536 1")),
	V1_BAD("2.1 destination port over 65535", TCP4_PORTS("1 65536")),
	V1_BAD("2.1 port of six digits", TCP4_PORTS("100000 1")),
	V1_BAD("2.1 port that overflows 32 bits", TCP4_PORTS("4294967297 1")),
	V1_BAD("2.1 port with leading zero", TCP4_PORTS("01 2")),
	V1_BAD("2.1 port 00", TCP4_PORTS("00 2")),
	V1_BAD("2.1 destination port with leading zero", TCP4_PORTS("1 02")),
	V1_BAD("2.1 port with sign", TCP4_PORTS("+1 2")),
	V1_BAD("2.1 port in hexadecimal", TCP4_PORTS("0x1 2")),
	V1_BAD("2.1 port with letters", TCP4_PORTS("1a 2")),
	V1_BAD("2.1 port is a name", TCP4_PORTS("smtp 25")),
	V1_BAD("2.1 IPv4 address in a TCP6 line", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"),
	V1_BAD("2.1 IPv4 destination in a TCP6 line", "PROXY TCP6 ::1 5.6.7.8 1 2\r\n"),
	V1_BAD("RFC 4291 2.2 two ::", TCP6("1::2::3")),
	V1_BAD("RFC 4291 2.2 three colons", TCP6("1:::2")),
	V1_BAD("RFC 4291 2.2 four colons", TCP6("::::")),
	V1_BAD("RFC 4291 2.2 one colon", TCP6(":")),
	V1_BAD("RFC 4291 2.2 colon in front", TCP6(":1:2:3:4:5:6:7")),
	V1_BAD("RFC 4291 2.2 colon at the end", TCP6("1:2:3:4:5:6:7:")),
	V1_BAD("RFC 4291 2.2 seven groups", TCP6("1:2:3:4:5:6:7")),
	V1_BAD("RFC 4291 2.2 nine groups", TCP6("1:2:3:4:5:6:7:8:9")),
	V1_BAD("RFC 4291 2.2 eight groups and ::", TCP6("1:2:3:4:5:6:7:8::")),
	V1_BAD("RFC 4291 2.2 :: and eight groups", TCP6("::1:2:3:4:5:6:7:8")),
	V1_BAD("RFC 4291 2.2 :: within eight groups", TCP6("1:2:3:4::5:6:7:8")),
	V1_BAD("RFC 4291 2.2 five digits in a group", TCP6("12345::1")),
	V1_BAD("RFC 4291 2.2 five digits with leading zero", TCP6("01234::1")),
	V1_BAD("RFC 4291 2.2 letter that is no digit", TCP6("fffg::1")),
	V1_BAD("RFC 4291 2.2 one group", TCP6("1")),
	V1_BAD("RFC 4291 2.2 zone", TCP6("fe80::1%lo")),
	V1_BAD("RFC 4291 2.2 brackets", TCP6("[::1]")),
	V1_BAD("RFC 4291 2.2 prefix length", TCP6("::1/128")),
	V1_BAD("RFC 4291 2.2 IPv4 tail over 255", TCP6("::1.2.3.256")),
	V1_BAD("RFC 4291 2.2 IPv4 tail of three numbers", TCP6("::1.2.3")),
	V1_BAD("RFC 4291 2.2 IPv4 tail of five numbers", TCP6("::1.2.3.4.5")),
	V1_BAD("RFC 4291 2.2 IPv4 tail with empty number", TCP6("::1..3.4")),
	V1_BAD("RFC 4291 2.2 IPv4 tail with leading zero", TCP6("::1.02.3.4")),
	V1_BAD("RFC 4291 2.2 IPv4 tail in hexadecimal", TCP6("::1.a.3.4")),
	V1_BAD("RFC 4291 2.2 groups behind an IPv4 tail", TCP6("::1.2.3.4:5")),
	V1_BAD("RFC 4291 2.2 IPv4 tail too early", TCP6("1:2:3:4:5:1.2.3.4")),
	V1_BAD("RFC 4291 2.2 IPv4 tail too late", TCP6("1:2:3:4:5:6:7:1.2.3.4")),
	V1_BAD("RFC 4291 2.2 dot in front", TCP6(".1::2")),
	V1_BAD("RFC 4291 2.2 empty address", TCP6("")),

	/* 2.2, version 2: valid */
	V2("2.2 TCP over IPv4", SIG "21 11 000c " IP4, ORG4),
	V2("2.2 UDP over IPv4", SIG "21 12 000c " IP4,
	   "PROXY v2 UDP 192.0.2.7:4711 -> 198.51.100.1:25"),
	V2("2.2 unspecified transport over IPv4", SIG "21 10 000c " IP4,
	   "PROXY v2 UNSPEC 192.0.2.7:4711 -> 198.51.100.1:25"),
	V2("2.2 TCP over IPv6", SIG "21 21 0024 " IP6, ORG6),
	V2("2.2 UDP over IPv6", SIG "21 22 0024 " IP6,
	   "PROXY v2 UDP [2001:db8::7]:4711 -> [2001:db8::1]:25"),
	V2("2.2 UNIX stream", SIG "21 31 00d8 " UN, ORGUN),
	V2("2.2 UNIX datagram", SIG "21 32 00d8 " UN, "PROXY v2 UNIX-DGRAM /tmp/a -> /tmp/b"),
	V2("2.2 UNIX abstract name", SIG "21 31 00d8 00 6162 00*105 2f 00*107 ",
	   "PROXY v2 UNIX @ab -> /"),
	V2("2.2 UNIX path that fills its field", SIG "21 31 00d8 61*108 62*108 ",
	   "PROXY v2 UNIX "
	   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	   "aaaaaaaaaaaaaaaaaaaaaaaaaa -> "
	   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	   "bbbbbbbbbbbbbbbbbbbbbbbbbb"),
	V2("2.2 UNSPEC, no address", SIG "21 00 0000", "PROXY v2 UNSPEC"),
	V2("2.2 UNSPEC, length is skipped", SIG "21 00 0005 0102030405", "PROXY v2 UNSPEC"),
	V2("2.2 UNSPEC with STREAM", SIG "21 01 0000", "PROXY v2 UNSPEC"),
	V2("2.2 LOCAL, no address", SIG "20 00 0000", LOCAL2),
	V2("2.2 LOCAL, addresses are skipped", SIG "20 11 000c " IP4, LOCAL2),
	V2("2.2 LOCAL, family is ignored", SIG "20 f7 0000", LOCAL2),
	V2("2.2 LOCAL, TLVs are not looked at", SIG "20 00 0003 03ffff", LOCAL2),
	V2_LEN("2.2 payload follows", SIG "21 11 000c " IP4 "45484c4f", 28, ORG4),
	V2_LEN("2.2 payload follows LOCAL", SIG "20 00 0000 45484c4f", 16, LOCAL2),
	V2_LEN("2.2 a second header is payload", SIG "20 00 0000 " SIG "20 00 0000", 16, LOCAL2),

	/* 2.2.1: TLVs */
	V2("2.2.1 empty TLV", SIG "21 11 000f " IP4 "04 0000", ORG4),
	V2("2.2.2 ALPN", SIG "21 11 0011 " IP4 "01 0002 6832", ORG4),
	V2("2.2.2 AUTHORITY", SIG "21 11 0013 " IP4 "02 0004 6d61696c", ORG4),
	V2("2.2.4 NOOP, content is ignored", SIG "21 11 0013 " IP4 "04 0004 00000000", ORG4),
	V2("2.2.5 UNIQUE_ID of 128 bytes", SIG "21 11 008f " IP4 "05 0080 41*128", ORG4),
	V2("2.2.6 SSL without sub-TLVs", SIG "21 11 0014 " IP4 "20 0005 01 00000000", ORG4),
	V2("2.2.6 SSL with VERSION and CN",
	   SIG "21 11 0024 " IP4 "20 0015 07 00000000 21 0007 544c5376312e33 22 0003 616263"
	       " ",
	   ORG4),
	V2("2.2.6 SSL, another TLV behind it",
	   SIG "21 11 0020 " IP4 "20 000e 01 00000000 23 0006 414243444546 04 0000", ORG4),
	V2("2.2.7 NETNS", SIG "21 11 0012 " IP4 "30 0003 6e7331", ORG4),
	V2("2.2.8 custom: AWS VPC endpoint", SIG "21 11 0014 " IP4 "ea 0005 01 76706365", ORG4),
	V2("2.2.8 custom: Azure", SIG "21 11 0014 " IP4 "ee 0005 01 11223344", ORG4),
	V2("2.2.8 custom: GCP", SIG "21 11 0017 " IP4 "e0 0008 0011223344556677", ORG4),
	V2("2.2.8 experiment", SIG "21 11 0010 " IP4 "f3 0001 00", ORG4),
	V2("2.2.8 future", SIG "21 11 0010 " IP4 "ff 0001 00", ORG4),
	V2("2.2.1 unknown type is skipped", SIG "21 11 0010 " IP4 "99 0001 00", ORG4),
	V2("2.2.1 type 0 is a type", SIG "21 11 000f " IP4 "00 0000", ORG4),
	V2("2.2.1 several TLVs", SIG "21 11 001a " IP4 "01 0002 6832 02 0001 61 05 0002 4142",
	   ORG4),
	V2("2.2.1 the same type twice", SIG "21 11 0014 " IP4 "99 0001 00 99 0001 01", ORG4),
	V2("2.2.1 TLVs behind IPv6", SIG "21 21 0027 " IP6 "04 0000", ORG6),
	V2("2.2.1 TLVs behind UNIX", SIG "21 31 00db " UN "04 0000", ORGUN),
	V2("2.2.1 many TLVs", SIG "21 11 012c " IP4 "04 0000 04 0000 04 0117 00*279", ORG4),
	V2("2.2.1 TLVs of 512 bytes", SIG "21 11 020c " IP4 "99 01fd 5a*509", ORG4),
	V2("2.2.1 header of 1,024 bytes", SIG "21 11 03f0 " IP4 "99 03e1 5a*993", ORG4),
	V2("2.2.1 header of 1,025 bytes", SIG "21 11 03f1 " IP4 "99 03e2 5a*994", ORG4),
	V2("2.2.1 header of 4,096 bytes", SIG "21 11 0ff0 " IP4 "99 0fe1 5a*4065", ORG4),
	V2("2.2.1 header of 16,384 bytes", SIG "21 11 3ff0 " IP4 "99 3fe1 5a*16353", ORG4),
	V2("2.2.3 CRC32C", SIG "21 11 0013 " IP4 "03 0004 358a29e7", ORG4),
	V2("2.2.3 CRC32C, another TLV behind it",
	   SIG "21 11 0017 " IP4 "03 0004 950022bd 99 0001 41", ORG4),

	/* 2.2: more is needed */
	V2_MORE("2.2 first byte", "0d"),
	V2_MORE("2.2 eleven bytes of signature", "0d0a0d0a000d0a51554954"),
	V2_MORE("2.2 signature", SIG),
	V2_MORE("2.2 no length yet", SIG "21 11 00"),
	V2_MORE("2.2 fixed part", SIG "21 11 000c"),
	V2_MORE("2.2 one address byte is missing", SIG "21 11 000c c0000207 c6336401 1267 00"),
	V2_MORE("2.2 TLVs are missing", SIG "21 11 000f " IP4),
	V2_MORE("2.2 LOCAL, skipped bytes are missing", SIG "20 00 0005 0102"),
	V2_MORE("2.2 large header, last byte is missing", SIG "21 11 0ff0 " IP4 "99 0fe1 5a*4064"),

	/* 2.2: invalid */
	V2_BAD("2.2 signature wrong in its first bytes", "0d0a0d0b000d0a515549540a 21 11 000c"),
	V2_BAD("2.2 signature wrong in its last byte", "0d0a0d0a000d0a515549540b 21 11 000c"),
	V2_BAD("2.2 signature cut short", "0d0a0d0a000d0a5155 21 11 000c " IP4),
	V2_BAD("2.2 version 1", SIG "11 11 000c " IP4),
	V2_BAD("2.2 version 3", SIG "31 11 000c " IP4),
	V2_BAD("2.2 version 0", SIG "01 11 000c " IP4),
	V2_BAD("2.2 version is judged without more", SIG "11"),
	V2_BAD("2.2 command 2", SIG "22 11 000c " IP4),
	V2_BAD("2.2 command 15", SIG "2f 11 000c " IP4),
	V2_BAD("2.2 family 4", SIG "21 41 000c " IP4),
	V2_BAD("2.2 family 15", SIG "21 f1 000c " IP4),
	V2_BAD("2.2 transport 3", SIG "21 13 000c " IP4),
	V2_BAD("2.2 transport 15", SIG "21 1f 000c " IP4),
	V2_BAD("2.2 UNSPEC with unknown transport", SIG "21 03 0000"),
	V2_BAD("2.2 length too short for IPv4", SIG "21 11 000b " IP4),
	V2_BAD("2.2 length zero with IPv4", SIG "21 11 0000 " IP4),
	V2_BAD("2.2 length too short for IPv6", SIG "21 21 0023 " IP6),
	V2_BAD("2.2 length of IPv4 with IPv6", SIG "21 21 000c " IP4),
	V2_BAD("2.2 length too short for UNIX", SIG "21 31 00d7 " UN),
	V2_BAD("2.2 length is judged without more", SIG "21 11 000b"),
	V2_BAD("2.2 header of 16,385 bytes", SIG "21 11 3ff1 " IP4),
	V2_BAD("2.2 longest length", SIG "21 11 ffff " IP4),
	V2_BAD("2.2.1 TLV of one byte", SIG "21 11 000d " IP4 "04"),
	V2_BAD("2.2.1 TLV of two bytes", SIG "21 11 000e " IP4 "04 00"),
	V2_BAD("2.2.1 TLV runs past the end by one", SIG "21 11 000f " IP4 "04 0001"),
	V2_BAD("2.2.1 TLV runs past the end by many", SIG "21 11 000f " IP4 "04 ffff"),
	V2_BAD("2.2.1 second TLV runs past the end", SIG "21 11 0013 " IP4 "04 0000 99 0002 41"),
	V2_BAD("2.2.1 a byte behind the last TLV", SIG "21 11 0010 " IP4 "04 0000 00"),
	V2_BAD("2.2.1 TLV runs past the end behind IPv6", SIG "21 21 0027 " IP6 "04 0001"),
	V2_BAD("2.2.1 TLV runs past the end behind UNIX", SIG "21 31 00db " UN "04 0001"),
	V2_BAD("2.2.1 TLV runs past the end of a large header",
	       SIG "21 11 0ff0 " IP4 "99 0fe2 5a*4065"),
	V2_BAD("2.2.3 CRC32C of three bytes", SIG "21 11 0012 " IP4 "03 0003 010203"),
	V2_BAD("2.2.3 CRC32C of five bytes", SIG "21 11 0014 " IP4 "03 0005 0102030405"),
	V2_BAD("2.2.3 CRC32C is wrong in one bit", SIG "21 11 0013 " IP4 "03 0004 358a29e6"),
	V2_BAD("2.2.3 CRC32C is zero", SIG "21 11 0013 " IP4 "03 0004 00000000"),
	V2_BAD("2.2.3 CRC32C of other addresses",
	       SIG "21 11 0013 c0000208 c6336401 1267 0019 03 0004 358a29e7"),
	V2_BAD("2.2.3 two CRC32C", SIG "21 11 001a " IP4 "03 0004 00000000 03 0004 00000000"),
	V2_BAD("2.2.5 UNIQUE_ID of 129 bytes", SIG "21 11 0090 " IP4 "05 0081 41*129"),
	V2_BAD("2.2.6 SSL of four bytes", SIG "21 11 0013 " IP4 "20 0004 01 000000"),
	V2_BAD("2.2.6 SSL, sub-TLV of one byte", SIG "21 11 0015 " IP4 "20 0006 01 00000000 21"),
	V2_BAD("2.2.6 SSL, sub-TLV runs past the SSL TLV",
	       SIG "21 11 001a " IP4 "20 0008 01 00000000 21 0003 04 0000"),
};

const size_t header_case_count = sizeof(header_cases) / sizeof(header_cases[0]);

const struct mixed_case mixed_cases[] = {
	/* as nginx writes them: the family is the client's */
	{"PROXY TCP4 192.0.2.77 2001:db8:1::1 4711 10002\r\n",
	 "PROXY v1 TCP [::ffff:192.0.2.77]:4711 -> [2001:db8:1::1]:10002", 0},
	{"PROXY TCP6 2001:db8::7 198.51.100.1 4711 25\r\n",
	 "PROXY v1 TCP [2001:db8::7]:4711 -> [::ffff:198.51.100.1]:25", 0},
	{"PROXY TCP4 2001:db8::7 198.51.100.1 4711 25\r\n",
	 "PROXY v1 TCP [2001:db8::7]:4711 -> [::ffff:198.51.100.1]:25", 0},
	{"PROXY TCP6 192.0.2.7 2001:db8::1 4711 25\r\n",
	 "PROXY v1 TCP [::ffff:192.0.2.7]:4711 -> [2001:db8::1]:25", 0},
	{"PROXY TCP4 0.0.0.0 :: 0 0\r\n", "PROXY v1 TCP [::ffff:0.0.0.0]:0 -> [::]:0", 0},
	{"PROXY TCP4 255.255.255.255 ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 65535 65535\r\n",
	 "PROXY v1 TCP [::ffff:255.255.255.255]:65535 -> "
	 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	 0},
	{"PROXY TCP4 1.2.3.4 ::ffff:5.6.7.8 1 2\r\n",
	 "PROXY v1 TCP [::ffff:1.2.3.4]:1 -> [::ffff:5.6.7.8]:2", 0},
	/* as the specification has them */
	{"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
	 "PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25", 1},
	{"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
	 "PROXY v1 TCP 0.0.0.0:0 -> 255.255.255.255:65535", 1},
	{"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n",
	 "PROXY v1 TCP [2001:db8::7]:4711 -> [2001:db8::1]:25", 1},
	{"PROXY TCP6 ::ffff:1.2.3.4 ::5.6.7.8 1 2\r\n",
	 "PROXY v1 TCP [::ffff:1.2.3.4]:1 -> [::5.6.7.8]:2", 1},
	{"PROXY UNKNOWN\r\n", LOCAL1, 1},
	/* which fit neither reading */
	{"PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n", NULL, 0},
	{"PROXY TCP6 192.0.2.7 198.51.100.1 4711 25\r\n", NULL, 0},
	{"PROXY TCP4 256.0.0.1 2001:db8::1 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3 2001:db8::1 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4.5 2001:db8::1 1 2\r\n", NULL, 0},
	{"PROXY TCP4 01.2.3.4 2001:db8::1 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 5.6.7.256 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4. 5.6.7.8 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1..3.4 5.6.7.8 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.a 5.6.7.8 1 2\r\n", NULL, 0},
	{"PROXY TCP4  5.6.7.8 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 1:2:3 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 1:2:3:4 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 :::1 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 1:1.2.3.4 1 2\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 2001:db8::1 1 65536\r\n", NULL, 0},
	{"PROXY TCP4 1.2.3.4 2001:db8::1 1 2\n", NULL, 0},
	{"PROXY TCP6 1.2.3.4 2001:db8::g 1 2\r\n", NULL, 0},
	{"PROXY UNKNOWN\r\r\n", NULL, 0},
};

const size_t mixed_case_count = sizeof(mixed_cases) / sizeof(mixed_cases[0]);

static unsigned int hex_byte(const char *text)
{
	char digits[3] = {text[0], text[1], 0};

	return strtoul(digits, NULL, 16);
}

size_t header_bytes(const struct header_case *header, uint8_t bytes[HEADER_CASE_MAX])
{
	const char *at = header->hex;
	size_t len = 0, times;

	if (header->v1) {
		len = strlen(header->v1);
		memcpy(bytes, header->v1, len);
		return len;
	}
	while (*at) {
		if (isspace((unsigned char)*at)) {
			at++;
			continue;
		}
		times = 1;
		if (at[2] == '*')
			times = strtoul(at + 3, NULL, 10);
		memset(bytes + len, hex_byte(at), times);
		len += times;
		at += 2;
		if (*at == '*')
			at += 1 + strspn(at + 1, "0123456789");
	}
	return len;
}
