/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the JSON Schemas. schema.S puts their texts into the program. */
#include "schemas.h"

#define SCHEMA(symbol) extern const char json_schema_##symbol[], json_schema_##symbol##_end[]
SCHEMA(result);
SCHEMA(comparison);
SCHEMA(claims);
SCHEMA(binds);
SCHEMA(bind_check);
SCHEMA(steer);

const struct json_schema json_schemas[] = {
	{ "result", json_schema_result, json_schema_result_end },
	{ "comparison", json_schema_comparison, json_schema_comparison_end },
	{ "claims", json_schema_claims, json_schema_claims_end },
	{ "binds", json_schema_binds, json_schema_binds_end },
	{ "bind-check", json_schema_bind_check, json_schema_bind_check_end },
	{ "steer", json_schema_steer, json_schema_steer_end },
	{},
};
