/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units and containers out of paths of cgroups: user/model/unit.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/unit.h"

#define ID "4c01db0b339c1f3a9d24b6e5a7f0c8d91e2f3a4b5c6d7e8f90a1b2c3d4e5f607"
#define OUTER "99d91e2f3a4b5c6d7e8f90a1b2c3d4e5f6074c01db0b339c1f3a9d24b6e5a7f0"
#define POD "2f399b67-97d5-4f3a-b6a1-0d3b7e5a9c11"
#define POD_UNDERSCORES "2f399b67_97d5_4f3a_b6a1_0d3b7e5a9c11"
#define STATIC_POD "8e7ab6b7fd8b7ab8a9cdb2a2b3f7ad11"

/* words: NULL: it names nothing. */
struct sample {
	const char *cgroup, *words, *name, *container, *runtime, *pod;
};

#define UNIT(cgroup, words, name)                                                                  \
	{                                                                                          \
		cgroup, words, name, NULL, NULL, NULL                                              \
	}
#define CONTAINER(cgroup, words, container, runtime)                                               \
	{                                                                                          \
		cgroup, words, NULL, container, runtime, NULL                                      \
	}
#define NOTHING(cgroup)                                                                            \
	{                                                                                          \
		cgroup, NULL, NULL, NULL, NULL, NULL                                               \
	}

static void assert_samples(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sample *s = &samples[i];
		char words[UNIT_WORDS_SIZE];
		struct unit u;

		if (unit_find(&u, s->cgroup, 1024) != (s->words != NULL))
			fail_msg("%s: \"%s\"", s->cgroup, unit_say(words, &u));
		if (!s->words)
			continue;
		assert_string_equal(unit_say(words, &u), s->words);
		assert_string_equal(u.name, s->name ? s->name : "");
		assert_string_equal(u.container, s->container ? s->container : "");
		assert_string_equal(u.runtime ? u.runtime : "", s->runtime ? s->runtime : "");
		assert_string_equal(u.pod, s->pod ? s->pod : "");
	}
}

#define SAMPLES(...)                                                                               \
	do {                                                                                       \
		static const struct sample samples[] = { __VA_ARGS__ };                            \
		assert_samples(samples, sizeof(samples) / sizeof(*samples));                       \
	} while (0)

static void units_of_the_system(void **state)
{
	(void)state;
	SAMPLES(UNIT("/system.slice/nginx.service", "nginx.service", "nginx.service"),
		UNIT("/system.slice/system-unbound.slice/unbound@x.service", "unbound@x.service",
		     "unbound@x.service"),
		UNIT("/system.slice/system-postgresql.slice/postgresql@15-main.service",
		     "postgresql@15-main.service", "postgresql@15-main.service"),
		UNIT("/nginx.service", "nginx.service", "nginx.service"),
		UNIT("/web.slice/web-front.slice/haproxy.service", "haproxy.service",
		     "haproxy.service"),
		UNIT("/system.slice/sshd.socket", "sshd.socket", "sshd.socket"),
		UNIT("/system.slice/run-r3f2a.scope", "run-r3f2a.scope", "run-r3f2a.scope"),
		UNIT("/init.scope", "init.scope", "init.scope"),
		UNIT("/system.slice/web\\x2dfront.service", "web\\x2dfront.service",
		     "web\\x2dfront.service"), /* as systemctl takes it */
		UNIT("/system.slice/_cpu.service", "cpu.service", "cpu.service"),
		UNIT("/system.slice/nginx.service/workers", "nginx.service", "nginx.service"),
		UNIT("/system.slice/own.service/system.slice/other.service", "own.service",
		     "own.service"));
}

static void units_of_users(void **state)
{
	(void)state;
	SAMPLES(UNIT("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.scope",
		     "foo.scope of user 1000", "foo.scope"),
		UNIT("/user.slice/user-1000.slice/user@1000.service/app.slice/app-web.slice/"
		     "web@1.service",
		     "web@1.service of user 1000", "web@1.service"),
		UNIT("/user.slice/user-1000.slice/user@1000.service/init.scope",
		     "user@1000.service", "user@1000.service"),
		UNIT("/user.slice/user-1000.slice/user@1000.service", "user@1000.service",
		     "user@1000.service"),
		UNIT("/user.slice/user-1000.slice/session-3.scope", "session 3 of user 1000",
		     "session-3.scope"),
		UNIT("/user.slice/user-42.slice/session-c1.scope", "session c1 of user 42",
		     "session-c1.scope"),
		UNIT("/system.slice/session-3.scope", "session-3.scope",
		     "session-3.scope"), /* no login */
		UNIT("/system.slice/user@web.service/x.service", "user@web.service",
		     "user@web.service"));
}

static void containers_by_id(void **state)
{
	(void)state;
	SAMPLES(CONTAINER("/system.slice/docker-" ID ".scope", "container 4c01db0b339c (docker)",
			  ID, "docker"),
		CONTAINER("/docker/" ID, "container 4c01db0b339c (docker)", ID, "docker"),
		CONTAINER("/../../system.slice/docker-" ID ".scope",
			  "container 4c01db0b339c (docker)", ID, "docker"),
		CONTAINER("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID
			  ".scope",
			  "container 4c01db0b339c (docker) of user 1000", ID, "docker"),
		CONTAINER("/system.slice/nerdctl-" ID ".scope",
			  "container 4c01db0b339c (containerd)", ID, "containerd"),
		CONTAINER("/default/" ID, "container 4c01db0b339c", ID, NULL),
		CONTAINER("/ecs/" STATIC_POD "/" ID, "container 4c01db0b339c", ID, NULL),
		CONTAINER("/machine.slice/libpod-" ID ".scope", "container 4c01db0b339c (podman)",
			  ID, "podman"),
		CONTAINER("/machine.slice/libpod-" ID ".scope/container",
			  "container 4c01db0b339c (podman)", ID, "podman"),
		CONTAINER("/machine.slice/libpod-conmon-" ID ".scope",
			  "container 4c01db0b339c (podman)", ID, "podman"),
		CONTAINER("/machine.slice/machine-libpod_pod_" OUTER ".slice/libpod-" ID
			  ".scope/container",
			  "container 4c01db0b339c (podman)", ID, "podman"),
		CONTAINER("/libpod_parent/libpod-" ID, "container 4c01db0b339c (podman)", ID,
			  "podman"),
		{ "/system.slice/web.service/libpod-payload-" ID,
		  "container 4c01db0b339c (podman) of web.service", "web.service", ID, "podman",
		  NULL },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/"
		  "libpod-payload-" ID,
		  "container 4c01db0b339c (podman) of web.service of user 1000", "web.service", ID,
		  "podman", NULL },
		CONTAINER("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
			  ".scope/container",
			  "container 4c01db0b339c (podman) of user 1000", ID, "podman"),
		CONTAINER("/docker/" OUTER "/docker/" ID, "container 4c01db0b339c (docker)", ID,
			  "docker"));
}

static void containers_of_pods(void **state)
{
	static const char words[] = "container 4c01db0b339c (containerd), pod 2f399b67";

	(void)state;
	SAMPLES({ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_UNDERSCORES
		  ".slice/cri-containerd-" ID ".scope",
		  words, NULL, ID, "containerd", POD },
		{ "/kubepods.slice/kubepods-pod" POD_UNDERSCORES ".slice/crio-" ID ".scope",
		  "container 4c01db0b339c (cri-o), pod 2f399b67", NULL, ID, "cri-o", POD },
		{ "/kubepods/besteffort/pod" POD "/" ID, "container 4c01db0b339c, pod 2f399b67",
		  NULL, ID, NULL, POD },
		{ "/kubepods/besteffort/pod" POD "/crio-" ID,
		  "container 4c01db0b339c (cri-o), pod 2f399b67", NULL, ID, "cri-o", POD },
		{ "/kubepods/burstable/pod" STATIC_POD "/" ID,
		  "container 4c01db0b339c, pod 8e7ab6b7", NULL, ID, NULL, STATIC_POD },
		{ "/kubepods.slice/kubepods-pod" POD_UNDERSCORES ".slice/docker-" ID ".scope",
		  "container 4c01db0b339c (docker), pod 2f399b67", NULL, ID, "docker", POD },
		{ "/system.slice/containerd.service/kubepods-burstable-pod" POD_UNDERSCORES
		  ".slice:cri-containerd:" ID,
		  "container 4c01db0b339c (containerd), pod 2f399b67 of containerd.service",
		  "containerd.service", ID, "containerd", POD },
		{ "/system.slice/docker-" OUTER
		  ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_UNDERSCORES
		  ".slice/cri-containerd-" ID ".scope",
		  words, NULL, ID, "containerd", POD },
		NOTHING("/kubepods/besteffort/pod" POD));
}

static void containers_by_name(void **state)
{
	(void)state;
	SAMPLES(CONTAINER("/lxc.payload.web", "container web (lxc)", "web", "lxc"),
		CONTAINER("/lxc.monitor.web", "container web (lxc)", "web", "lxc"),
		CONTAINER("/lxc.payload/web", "container web (lxc)", "web", "lxc"),
		{ "/lxc/101/ns/system.slice/nginx.service", "nginx.service of container 101 (lxc)",
		  "nginx.service", "101", "lxc", NULL },
		{ "/lxc.payload.web/system.slice/nginx.service",
		  "nginx.service of container web (lxc)", "nginx.service", "web", "lxc", NULL },
		{ "/lxc.payload.web/user.slice/user-0.slice/session-3.scope",
		  "session 3 of user 0 of container web (lxc)", "session-3.scope", "web", "lxc",
		  NULL },
		CONTAINER("/lxc.payload.web/system.slice/docker-" ID ".scope",
			  "container 4c01db0b339c (docker)", ID, "docker"),
		CONTAINER("/lxc.payload.web/system.slice/docker.service/docker/" ID,
			  "container 4c01db0b339c (docker)", ID, "docker"),
		{ "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
		  "nginx.service of container web (systemd-nspawn)", "nginx.service", "web",
		  "systemd-nspawn", NULL },
		CONTAINER("/machine.slice/machine-web\\x2dfront.scope", "machine web-front",
			  "web-front", "machined"),
		{ "/machine.slice/machine-web.scope/payload/init.scope",
		  "init.scope of machine web", "init.scope", "web", "machined", NULL },
		CONTAINER("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
			  "machine qemu-1-vm", "qemu-1-vm", "machined"),
		{ "/machine.slice/libpod-" ID ".scope/container/system.slice/nginx.service",
		  "nginx.service of container 4c01db0b339c (podman)", "nginx.service", ID, "podman",
		  NULL });
}

static void others_name_nothing(void **state)
{
	(void)state;
	SAMPLES(NOTHING(""), NOTHING("/"), NOTHING("/system.slice"), NOTHING("/-.slice"),
		NOTHING("/process_api/5711c2c580e5"), NOTHING("/.service"), NOTHING("/a b.service"),
		NOTHING("/x\033[2J.service"), NOTHING("/docker"), NOTHING("/lxc"),
		NOTHING("/docker/4c01db0b339c"), /* too short for an id */
		NOTHING("/docker/4C01DB0B339C1F3A9D24B6E5A7F0C8D91E2F3A4B5C6D7E8F90A1B2C3D4E5F607"),
		NOTHING("/foo-" ID), /* whose id it is, is not known */
		NOTHING("/web.timer"), NOTHING("/machine-.scopes"));
	/* A scope that is called like one of a container and has no id is a unit. */
	SAMPLES(UNIT("/system.slice/docker-web.scope", "docker-web.scope", "docker-web.scope"),
		UNIT("/system.slice/libpod-" ID "0.scope", "libpod-" ID "0.scope",
		     "libpod-" ID "0.scope"));
}

/* A path that fills its room may have been longer. */
static void what_was_cut_is_not_looked_at(void **state)
{
	static const char path[] = "/system.slice/a.service";
	struct unit u;

	(void)state;
	assert_true(unit_find(&u, path, sizeof(path) + 1));
	assert_false(unit_find(&u, path, sizeof(path)));
	assert_false(unit_find(&u, path, sizeof(path) - 1)); /* without a NUL */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_of_the_system),
		cmocka_unit_test(units_of_users),
		cmocka_unit_test(containers_by_id),
		cmocka_unit_test(containers_of_pods),
		cmocka_unit_test(containers_by_name),
		cmocka_unit_test(others_name_nothing),
		cmocka_unit_test(what_was_cut_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
