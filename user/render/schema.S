/* SPDX-License-Identifier: GPL-2.0-or-later */
	.section .rodata
	.global json_schema, json_schema_end
json_schema:
	.incbin "user/render/sockfair-1.schema.json"
json_schema_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
