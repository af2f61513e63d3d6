/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "picker.h"

#include <linux/filter.h>
#include <stdlib.h>

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
	uint32_t cpu;
	bool asked_cpu, stuck; /* stuck: depends on the packet, or not known to us */
};

static uint32_t calculate(struct machine *m, uint16_t code, uint32_t by)
{
	switch (BPF_OP(code)) {
	case BPF_ADD: return m->a + by;
	case BPF_SUB: return m->a - by;
	case BPF_MUL: return m->a * by;
	case BPF_OR: return m->a | by;
	case BPF_AND: return m->a & by;
	case BPF_XOR: return m->a ^ by;
	case BPF_LSH: return by < 32 ? m->a << by : 0;
	case BPF_RSH: return by < 32 ? m->a >> by : 0;
	case BPF_NEG: return -m->a;
	case BPF_DIV:
	case BPF_MOD:
		m->stuck |= !by; /* a division by 0 ends the program, which returns 0 */
		return !by ? 0 : BPF_OP(code) == BPF_DIV ? m->a / by : m->a % by;
	default: m->stuck = true; return 0;
	}
}

static bool jumps(struct machine *m, uint16_t code, uint32_t by)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ: return m->a == by;
	case BPF_JGT: return m->a > by;
	case BPF_JGE: return m->a >= by;
	case BPF_JSET: return m->a & by;
	default: m->stuck = true; return false;
	}
}

static void machine_load(struct machine *m, const struct picker_instruction *i, uint32_t *to)
{
	switch (BPF_MODE(i->code)) {
	case BPF_IMM: *to = i->k; return;
	case BPF_MEM: *to = m->memory[i->k % BPF_MEMWORDS]; return;
	case BPF_ABS:
		if (i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_CPU)) {
			*to = m->cpu;
			m->asked_cpu = true;
			return;
		}
		/* fall through */
	default: m->stuck = true;
	}
}

/* Runs the program for a CPU and returns its result, which means nothing if the machine is stuck.
 * Classic BPF can't jump backwards, so the program ends. */
static uint32_t machine_run(struct machine *m, const struct picker_instruction *program,
			    size_t length)
{
	for (size_t at = 0; at < length && !m->stuck; at++) {
		const struct picker_instruction *i = &program[at];
		const uint32_t by = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

		switch (BPF_CLASS(i->code)) {
		case BPF_LD: machine_load(m, i, &m->a); break;
		case BPF_LDX: machine_load(m, i, &m->x); break;
		case BPF_ST: m->memory[i->k % BPF_MEMWORDS] = m->a; break;
		case BPF_STX: m->memory[i->k % BPF_MEMWORDS] = m->x; break;
		case BPF_ALU: m->a = calculate(m, i->code, by); break;
		case BPF_RET: return BPF_RVAL(i->code) == BPF_A ? m->a : i->k;
		case BPF_MISC:
			if (BPF_MISCOP(i->code) == BPF_TAX)
				m->x = m->a;
			else
				m->a = m->x;
			break;
		default: /* BPF_JMP */
			at += BPF_OP(i->code) == BPF_JA ? i->k
			      : jumps(m, i->code, by)   ? i->if_true
							: i->if_false;
		}
	}
	m->stuck = true;
	return 0;
}

struct picker picker_tell(const struct picker_instruction *program, size_t length, unsigned cpus,
			  uint32_t sockets)
{
	struct picker p = { .kind = PICKER_CLASSIC };
	bool *picked = length <= PICKER_INSTRUCTIONS ? calloc(sockets + 1, sizeof(*picked)) : NULL;

	if (!picked)
		return p;
	p.told = true;
	for (uint32_t cpu = 0; cpu < cpus && p.told; cpu++) {
		struct machine m = { .cpu = cpu };
		const uint32_t index = machine_run(&m, program, length);

		p.told &= !m.stuck;
		p.by_cpu |= m.asked_cpu;
		p.rest |= index >= sockets;
		if (index >= sockets || picked[index])
			continue;
		picked[index] = true;
		p.sockets++;
	}
	free(picked);
	return p;
}
