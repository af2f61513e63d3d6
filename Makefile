# SPDX-License-Identifier: GPL-2.0-or-later
#
# make         builds ./sockfair
# make demo    sets up, builds, and runs every server design
# make test    sets up and passes all tests of this kernel
# make vmtest  the tests in virtual machines: other kernels; ALL=1: all that tests/vm/kernels knows;
#              KERNEL=6.12: that one
# make check   the quick tests: no real servers, of the commands those that change most
# make lint    clang-format, shellcheck and clang-tidy have nothing to say
# make setup   installs what is missing (Debian 12 and newer; elsewhere prints the package names)
# make install PREFIX=/usr/local
# make fuzz    hands made-up files, options and machines to what reads them, for FUZZ_SECONDS=60
# make bench   what the programs cost per event, beside bpftrace
# V=1 shows the commands.

VERSION := 0.1.0
PREFIX ?= /usr/local
CC ?= gcc
CLANG ?= clang
BUILD := .build
ARCH := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
# Loading BPF programs and virtual machines need root.
SUDO := $(shell [ $$(id -u) = 0 ] || echo sudo)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
BPFTOOL ?= $(or $(wildcard /usr/sbin/bpftool),bpftool)

Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)";)

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wno-format-truncation -Werror
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DSOCKFAIR_VERSION='"$(VERSION)"' $(WARNINGS) $(CFLAGS) -pthread -Ibpf -I$(BUILD) -MMD -MP
LIBS := -lbpf -lelf -lz -ljansson -lgsl -lgslcblas -lm -luring -lcap -lseccomp -lmicrohttpd -lncursesw -ltinfo -pthread

BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(BUILD)/%.bpf.o,$(wildcard bpf/*.bpf.c))
SKELETONS := $(BPF_OBJECTS:.bpf.o=.skel.h)
SOURCES := $(wildcard user/*.c user/*/*.c)
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(SOURCES)) $(BUILD)/user/render/schema.o
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))

.PHONY: all demo test check lint tidy setup vmtest install bench clean unit whole fuzzers fuzz
.DELETE_ON_ERROR:
all: sockfair

sockfair: $(OBJECTS)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) vmlinux/vmlinux.h
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Ivmlinux -Ibpf \
		-I/usr/include/$(shell uname -m)-linux-gnu -Wall -Wextra -Wno-unused-parameter -Werror -c $< -o $@.tmp
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $(basename $(basename $(@F)))_bpf >$@

$(filter $(BUILD)/user/attach/% $(BUILD)/user/collect/%,$(OBJECTS)): $(SKELETONS)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c $< -o $@

# The JSON Schema is part of the program (sockfair --schema).
$(BUILD)/user/render/schema.o: user/render/schema.S $(wildcard user/render/*.schema.json)
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

setup:
	$(Q)tests/setup.sh test

demo:
	$(Q)tests/setup.sh build
	$(Q)$(MAKE) --no-print-directory sockfair
	$(SUDO) ./sockfair run all

# Unit tests: the pure parts under sanitizers, without root. (With -g1 reports have lines, and it
# compiles in two thirds of the time.)
SANITIZE := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all
PURE := $(patsubst %.c,$(BUILD)/sanitized/%.o,$(wildcard user/bind/*.c user/model/*.c user/render/*.c) user/experiment/agreement.c user/steer/epoll_entries.c user/attach/memory_file.c user/export/accept.c user/export/pages.c) $(BUILD)/user/render/schema.o
$(BUILD)/sanitized/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$< (sanitized))$(CC) $(ALL_CFLAGS) $(SANITIZE) -c $< -o $@

# In an archive: each test is linked with what it needs.
$(BUILD)/sanitized/pure.a: $(PURE)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/%: $(BUILD)/sanitized/tests/unit/%.o $(BUILD)/sanitized/pure.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(SANITIZE) -o $@ $^ -lcmocka -ljansson -lgsl -lgslcblas -lm

# The whole program under sanitizers: tests/cli/sanitized.bats runs each command of it.
SANITIZED := $(patsubst $(BUILD)/user/%,$(BUILD)/sanitized/user/%,$(filter-out %/schema.o,$(OBJECTS))) $(BUILD)/user/render/schema.o
$(filter $(BUILD)/sanitized/user/attach/% $(BUILD)/sanitized/user/collect/%,$(SANITIZED)): $(SKELETONS)
# What the unit tests do not have needs no speed: it compiles in half the time.
$(filter-out $(PURE),$(SANITIZED)): SANITIZE += -O0
$(BUILD)/sanitized/sockfair: $(SANITIZED)
	$(call say,LD,$@)$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

# tests/short_of_memory.py
$(BUILD)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(filter-out -M%,$(ALL_CFLAGS)) -shared -fPIC -o $@ $<

# tests/front.py
$(BUILD)/tests/publisher: $(BUILD)/tests/publisher.o $(filter-out $(BUILD)/user/main.o $(BUILD)/user/command/%,$(OBJECTS))
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

unit: $(UNITS) $(BUILD)/tests/publisher
# The whole program under sanitizers, and with allocations that fail.
whole: $(BUILD)/sanitized/sockfair $(BUILD)/tests/short_of_memory.so

# libFuzzer: what reads files and options that come from anywhere, and the rules over whatever a machine may show. Inputs that were new or crashed are kept
# in tests/fuzz/seeds; FUZZ_SECONDS are those of all together.
FUZZERS := json_reader filters rules accept
FUZZ_SECONDS ?= 60
FUZZ := -O1 -g1 -DREPLICATES=99 -DEFFORT=1000000 -Wno-unknown-warning-option -Wno-format-zero-length -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=all
FUZZED := $(patsubst %.c,$(BUILD)/fuzzed/%.o,$(wildcard user/bind/*.c user/model/*.c user/render/*.c)) $(BUILD)/user/render/schema.o
$(BUILD)/fuzzed/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$< (fuzzed))$(CLANG) $(ALL_CFLAGS) $(FUZZ) $(FUZZ_DEFINES) -c $< -o $@
# These end the program; the fuzzer goes on.
FUZZED_COMMAND := $(patsubst %,$(BUILD)/fuzzed/user/command/%.o,filter command judged)
$(FUZZED_COMMAND): FUZZ_DEFINES := -Dexit=fuzz_exit
$(BUILD)/fuzz/filters: $(FUZZED_COMMAND) $(BUILD)/fuzzed/user/collect/namespace.o
$(BUILD)/fuzz/accept: $(BUILD)/fuzzed/user/export/accept.o
$(BUILD)/fuzzed/pure.a: $(FUZZED)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/fuzz/%: $(BUILD)/fuzzed/tests/fuzz/%.o $(BUILD)/fuzzed/pure.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) $(filter %.a,$^) -ljansson -lgsl -lgslcblas -lm

fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

fuzz: fuzzers
	$(Q)tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)

check:
	$(Q)tests/setup.sh check
	$(Q)$(MAKE) --no-print-directory sockfair unit
	$(Q)$(SUDO) tests/run.sh quick

test: setup
	$(Q)$(MAKE) --no-print-directory sockfair unit whole fuzzers
	@# What clang-tidy has to say is told, and counted, by the suite "form": it asks about what has no stamp then.
	$(Q)$(MAKE) --no-print-directory --keep-going tidy >/dev/null 2>&1 || :
	$(Q)$(SUDO) tests/run.sh all

FORMATTED := $(wildcard bpf/*.[ch] user/*.[ch] user/*/*.[ch] tests/*.[ch] tests/*/*.[ch])
SCRIPTS := .ci/run $(wildcard tests/*.sh tests/*/*.sh)
lint: tidy
	$(call say,FORMAT,$(words $(FORMATTED)) files)clang-format --dry-run -Werror $(FORMATTED)
	$(call say,SHELL,$(words $(SCRIPTS)) scripts)shellcheck --severity=warning $(SCRIPTS)

# .clang-tidy says what is asked. A file that it had nothing to say about is not asked again before that, the file or a header of
# it has changed. Of a function the analyzer follows so many states: of 30 places that its own 225000 told of, 26, in a quarter of the
# time. (libbpf's headers are no system headers to it: it takes for granted that what those declare frees nothing.)
TIDY_NODES := 30000
TIDY_FLAGS = $(filter-out -M% $(CFLAGS),$(ALL_CFLAGS)) -Wno-unknown-warning-option -Wno-format-zero-length --no-system-header-prefix=bpf/ \
	-Xclang -analyzer-config -Xclang max-nodes=$(TIDY_NODES)
TIDIED := $(SOURCES:%.c=$(BUILD)/tidy/%.stamp)
$(filter $(BUILD)/tidy/user/attach/% $(BUILD)/tidy/user/collect/%,$(TIDIED)): $(SKELETONS)
$(BUILD)/tidy/%.stamp: %.c .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)clang-tidy --quiet $< -- $(TIDY_FLAGS) 2>$@.said || { cat $@.said >&2; exit 1; }
	$(Q)$(CC) $(filter-out -M%,$(ALL_CFLAGS)) -MM -MP -MT $@ -MF $(@:.stamp=.d) $< && mv $@.said $@
tidy: $(TIDIED)

vmtest: setup
	$(Q)$(MAKE) --no-print-directory sockfair
	$(Q)$(SUDO) tests/vm/run.sh $(or $(KERNEL),$(if $(ALL),all))

$(BUILD)/bench/%.bpf.o: tests/bench/%.bpf.c vmlinux/vmlinux.h
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) -O2 -g -target bpf -Ivmlinux -I/usr/include/$(shell uname -m)-linux-gnu \
		-Wno-unused-parameter -c $< -o $@
$(BUILD)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -O2 -o $@ $< -pthread

# BENCH: options of cost.py
bench:
	$(Q)tests/setup.sh bench
	$(Q)$(MAKE) --no-print-directory sockfair $(BUILD)/bench/traffic $(BUILD)/bench/memcache $(BUILD)/bench/empty.bpf.o
	$(Q)$(SUDO) tests/bench/cost.py --json $(BUILD)/bench/cost.json $(BENCH)
	$(Q)$(SUDO) tests/bench/scale.py --json $(BUILD)/bench/scale.json
	$(Q)$(SUDO) tests/bench/fentry.py --json $(BUILD)/bench/fentry.json
	$(Q)$(SUDO) tests/bench/throughput.py --json $(BUILD)/bench/throughput.json
	$(Q)$(SUDO) tests/bench/steer.py --json $(BUILD)/bench/steer.json
	$(Q)$(SUDO) tests/bench/fleet.py --json $(BUILD)/bench/fleet.json

install: sockfair
	install -D -m 755 sockfair $(DESTDIR)$(PREFIX)/bin/sockfair
	install -d $(DESTDIR)$(PREFIX)/share/sockfair
	install -m 644 user/render/*.schema.json $(DESTDIR)$(PREFIX)/share/sockfair
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 644 user/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 user/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7
	install -d $(DESTDIR)$(PREFIX)/share/sockfair/prometheus $(DESTDIR)$(PREFIX)/share/sockfair/grafana $(DESTDIR)$(PREFIX)/share/sockfair/examples
	install -m 644 user/dist/prometheus/* $(DESTDIR)$(PREFIX)/share/sockfair/prometheus
	install -m 644 user/dist/grafana/* $(DESTDIR)$(PREFIX)/share/sockfair/grafana
	install -m 644 user/dist/container/* user/dist/kubernetes/* user/dist/systemd/*.default $(DESTDIR)$(PREFIX)/share/sockfair/examples
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 user/dist/systemd/*.socket $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' user/dist/systemd/sockfair-export.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/sockfair-export.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/sockfair-export.service

clean:
	rm -rf $(BUILD) sockfair

# What is made on the way stays.
.SECONDARY: $(BPF_OBJECTS) $(SKELETONS) $(PURE) $(patsubst tests/%.c,$(BUILD)/sanitized/tests/%.o,$(wildcard tests/unit/*.c)) $(patsubst %.c,$(BUILD)/fuzzed/%.o,$(wildcard tests/fuzz/*.c))
