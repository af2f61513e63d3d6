/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a group's classic BPF program can pick: user/model/picker.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/filter.h>

#include "../../user/model/picker.h"

#define CPU                                                                                        \
	{                                                                                          \
		BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU)                \
	}
#define RETURN_A                                                                                   \
	{                                                                                          \
		BPF_RET | BPF_A, 0, 0, 0                                                           \
	}
#define RETURN(n)                                                                                  \
	{                                                                                          \
		BPF_RET | BPF_K, 0, 0, n                                                           \
	}
#define TELL(program, cpus, sockets)                                                               \
	picker_tell(program, sizeof(program) / sizeof(*(program)), cpus, sockets)

static void assert_picks(struct picker p, bool by_cpu, uint32_t sockets, bool rest)
{
	assert_int_equal(p.kind, PICKER_CLASSIC);
	assert_true(p.told);
	assert_int_equal(p.by_cpu, by_cpu);
	assert_int_equal(p.sockets, sockets);
	assert_int_equal(p.rest, rest);
}

static void by_the_cpu(void **state)
{
	static const struct picker_instruction plain[] = { CPU, RETURN_A };
	static const struct picker_instruction modulo[] = { CPU,
							    { BPF_ALU | BPF_MOD | BPF_K, 0, 0, 3 },
							    RETURN_A };
	static const struct picker_instruction halved[] = { CPU,
							    { BPF_ALU | BPF_RSH | BPF_K, 0, 0, 1 },
							    RETURN_A };
	/* CPU 1 has a socket of its own, the others share one */
	static const struct picker_instruction jump[] = {
		CPU, { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1 }, RETURN(2), RETURN(0)
	};
	/* by way of X and memory: 7 - CPU */
	static const struct picker_instruction ways[] = { CPU,
							  { BPF_ST, 0, 0, 3 },
							  { BPF_LDX | BPF_MEM, 0, 0, 3 },
							  { BPF_LD | BPF_IMM, 0, 0, 7 },
							  { BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0 },
							  RETURN_A };

	(void)state;
	assert_picks(TELL(plain, 2, 4), true, 2, false);
	assert_picks(TELL(plain, 8, 4), true, 4, true);
	assert_picks(TELL(modulo, 8, 4), true, 3, false);
	assert_picks(TELL(halved, 4, 4), true, 2, false);
	assert_picks(TELL(jump, 8, 4), true, 2, false);
	assert_picks(TELL(ways, 4, 8), true, 4, false);
	assert_picks(TELL(ways, 4, 4), true, 0, true);
}

static void always_the_same(void **state)
{
	static const struct picker_instruction first[] = { RETURN(0) }, beyond[] = { RETURN(9) };
	static const struct picker_instruction over[] = { { BPF_JMP | BPF_JA, 0, 0, 1 },
							  RETURN(3),
							  RETURN(1) };

	(void)state;
	assert_picks(TELL(first, 4, 4), false, 1, false);
	assert_picks(TELL(beyond, 4, 4), false, 0, true);
	assert_picks(TELL(over, 4, 2), false, 1, false);
}

/* The packet decides, or we don't know: then nothing is told, also where it is so for one CPU
 * alone. */
static void not_told(void **state)
{
	static const struct picker_instruction packet[] = { { BPF_LD | BPF_B | BPF_ABS, 0, 0, 0 },
							    RETURN_A };
	static const struct picker_instruction random[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM) }, RETURN_A
	};
	static const struct picker_instruction length[] = { { BPF_LD | BPF_W | BPF_LEN, 0, 0, 0 },
							    RETURN_A };
	static const struct picker_instruction one[] = { CPU,
							 { BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1 },
							 RETURN(0),
							 { BPF_LD | BPF_B | BPF_ABS, 0, 0, 0 },
							 RETURN_A };
	static const struct picker_instruction by_zero[] = { CPU,
							     { BPF_ALU | BPF_DIV | BPF_X, 0, 0, 0 },
							     RETURN_A };
	static const struct picker_instruction endless[PICKER_INSTRUCTIONS + 1];

	(void)state;
	assert_false(TELL(packet, 2, 4).told);
	assert_false(TELL(random, 2, 4).told);
	assert_false(TELL(length, 2, 4).told);
	assert_false(TELL(one, 2, 4).told);
	assert_true(TELL(one, 1, 4).told);
	assert_false(TELL(by_zero, 2, 4).told);
	assert_false(TELL(endless, 2, 4).told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_cpu),
		cmocka_unit_test(always_the_same),
		cmocka_unit_test(not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
