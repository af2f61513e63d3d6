/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a file in memory, on kernels that know a kind which can't be executed and on others. */
#include "memory_file.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* include/uapi/linux/memfd.h, since 6.3 */
#endif

int memory_file(const char *name)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	const int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create(name, flags) : fd;
}
