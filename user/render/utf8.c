/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes one UTF-8 character and refuses everything that RFC 3629 does. */
#include "utf8.h"

size_t utf8_next(const char *bytes, size_t size, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800,
					  0x10000 }; /* by length: a lower one is overlong */
	const unsigned char *b = (const unsigned char *)bytes;
	size_t length;

	if (!size)
		return 0;
	length = b[0] < 0x80       ? 1
		 : b[0] >> 5 == 6  ? 2
		 : b[0] >> 4 == 14 ? 3
		 : b[0] >> 3 == 30 ? 4
				   : 0;
	if (!length || length > size)
		return 0;
	*code = length == 1 ? b[0] : b[0] & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if (b[i] >> 6 != 2)
			return 0;
		*code = *code << 6 | (b[i] & 0x3f);
	}
	if (*code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return length;
}
