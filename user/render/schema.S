/* SPDX-License-Identifier: GPL-2.0-or-later */
	.section .rodata
	.macro schema name, file
	.global json_schema_\name, json_schema_\name\()_end
json_schema_\name:
	.incbin "\file"
json_schema_\name\()_end:
	.byte 0
	.endm

	schema result, "user/render/sockfair-1.schema.json"
	schema claims, "user/render/sockfair-claims-1.schema.json"
	schema binds, "user/render/sockfair-binds-1.schema.json"
	schema bind_check, "user/render/sockfair-bind-check-1.schema.json"
	schema steer, "user/render/sockfair-steer-1.schema.json"
	schema comparison, "user/render/sockfair-comparison-1.schema.json"
	.section .note.GNU-stack, "", %progbits
