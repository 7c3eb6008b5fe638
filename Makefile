# postern: build, check, install. GNU make; see INSTALL.
#
#	make		build everything into build/
#	make run	a gateway on loopback that shows both ways at work
#	make check	install what the tests need, run all of them
#	make lint	warnings of gcc and clang as errors, cppcheck, manuals
#	make fuzz	each fuzz target for SECONDS (30)
#	make bench	beside Postfix, nginx and haproxy, in one run
#	make users	the accounts of the daemons; make install
#
# Variables: BUILD, PREFIX, DESTDIR, CC, SANITIZE=1, COVER=1.

# As many jobs as processors, unless told how many.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

PREFIX	?= /usr
SYSCONFDIR ?= /etc
BUILD	?= build
CC	= gcc
VERSION	= 0.1
SECONDS	?= 30

PKGS	= libevent_core libbsd-overlay libcap libseccomp libcares libidn2 libcrypto libssl
PKGFLAGS := $(shell pkg-config --cflags $(PKGS))
WARN	= -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wsign-compare \
	  -Wmissing-prototypes -Wstrict-prototypes -Wmissing-declarations \
	  -Wwrite-strings -Wundef -Wformat=2 -Wno-missing-field-initializers
HARDEN	= -fstack-protector-strong -fstack-clash-protection -fcf-protection \
	  -fPIE
LDHARDEN = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
OPT	= -O2 -g
CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE -DVERSION='"$(VERSION)"' \
	  -DLIBEXECDIR='"$(PREFIX)/libexec/postern"' \
	  -DCONFFILE='"$(SYSCONFDIR)/postern/postern.conf"' \
	  $(PKGFLAGS)
CFLAGS	+= -std=c11 $(OPT) $(WARN) $(HARDEN) $(WERROR)
LDFLAGS	+= $(LDHARDEN) -Wl,--as-needed

ifneq ($(findstring clang,$(CC)),clang)
HARDEN	+= -ftrivial-auto-var-init=zero
endif
ifdef SANITIZE
OPT	= -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	  -fno-sanitize-recover=undefined -DPOSTERN_NO_SANDBOX
HARDEN	= -fPIE
LDFLAGS	+= -fsanitize=address,undefined
else ifdef COVER
OPT	= -O0 -g --coverage -DPOSTERN_NO_SANDBOX
HARDEN	= -fPIE
LDFLAGS	+= --coverage
else
CPPFLAGS += -D_FORTIFY_SOURCE=3
# An overflow in a parser ends the process instead of going on.
TRAP	= -fsanitize=signed-integer-overflow -fsanitize-undefined-trap-on-error
endif

DAEMONS	= smtpd queued deliverd proxyd lookupd keyd
PROGS	= postern $(DAEMONS) posternctl
COMMON	= $(wildcard common/*/*.c)
GRAM	= $(BUILD)/gen/common/conf/gram.c
LIB	= $(BUILD)/libpostern.a
# Objects apart from the programs: build/smtpd is the daemon itself.
O	= $(BUILD)/obj
LIBOBJS	= $(COMMON:%.c=$O/%.o) $(BUILD)/gen/common/conf/gram.o
SRCS	= $(wildcard $(addsuffix /*.c,postern posternctl $(DAEMONS)))
OBJS	= $(SRCS:%.c=$O/%.o)

LIBS_all	:= $(shell pkg-config --libs libbsd-overlay libidn2) -lcdb
LIBS_event	:= $(shell pkg-config --libs libevent_core)
LIBS_proc	= $(LIBS_event) -lseccomp -lcap
LIBS_postern	= $(LIBS_proc)
LIBS_smtpd	= $(LIBS_proc) -lssl -lcrypto
LIBS_queued	= $(LIBS_proc) -ldb-5.3
LIBS_deliverd	= $(LIBS_proc) -lssl -lcrypto
LIBS_proxyd	= $(LIBS_proc) -lssl -lcrypto
LIBS_lookupd	= $(LIBS_proc) -lcares
LIBS_keyd	= $(LIBS_proc) -lssl -lcrypto -lcrypt
LIBS_posternctl	= $(LIBS_event) -lcrypto -lcrypt

all: $(PROGS:%=$(BUILD)/%)

.SECONDEXPANSION:
$(PROGS:%=$(BUILD)/%): $(BUILD)/%: $$(addprefix $O/,$$(addsuffix .o,$$(basename $$(wildcard $$*/*.c)))) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_$*) $(LIBS_all)

# A folder, once; not by a process of each file in it.
.PRECIOUS: %/.
%/.:
	@mkdir -p $@

$(LIB): $(LIBOBJS)
	@rm -f $@
	ar rcs $@ $^

$O/%.o: %.c | $(GRAM) $$(@D)/.
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(addprefix $O/,common/smtp/%.o common/sasl/%.o common/mime/%.o common/dns/%.o common/tls/%.o common/ipc/%.o): CFLAGS += $(TRAP)

$(GRAM): common/conf/gram.y | $$(@D)/.
	bison -Werror -d -o $@ $<
$(BUILD)/gen/common/conf/gram.h: $(GRAM) ;

# ---- tests ---------------------------------------------------------------
UNITS	= $(patsubst regress/%.c,$(BUILD)/regress/%,$(wildcard regress/unit/test_*.c))
FUZZERS	= $(patsubst regress/%.c,$(BUILD)/regress/%,$(wildcard regress/fuzz/fuzz_*.c))
TOOLS	= $(BUILD)/regress/lib/inject $(BUILD)/regress/lib/confdump

# A test of a daemon's own file names its objects in UNIT_<test>.
-include regress/unit/units.mk
$(UNITS): $(BUILD)/regress/%: $O/regress/%.o $$(addprefix $O/,$$(UNIT_$$(notdir $$*))) $(LIB) | $$(@D)/.
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS_proc) -lssl -lcrypto $(UNITLIBS_$(notdir $*)) $(LIBS_all)
$(FUZZERS): $(BUILD)/regress/fuzz/%: $O/regress/fuzz/%.o $O/regress/lib/replay.o $$(addprefix $O/,$$(UNIT_$$*)) $(LIB) | $$(@D)/.
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_proc) -lssl -lcrypto $(UNITLIBS_$*) $(LIBS_all)
$(TOOLS): $(BUILD)/%: $O/%.o $(LIB) | $$(@D)/.
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_all)

tests: all $(UNITS) $(FUZZERS) $(TOOLS)

# Everything, then what runs a program once more under ASan and UBSan.
check:
	regress/deps check
	$(MAKE) -j2 tests
	$(MAKE) -j2 BUILD=build/asan SANITIZE=1 tests
	regress/run build

unit: $(UNITS)
	regress/run $(BUILD) unit
system: all $(TOOLS)
	regress/run $(BUILD) system

lint:
	regress/deps lint
	regress/lint

fuzz:
	regress/deps fuzz
	regress/fuzz/run $(BUILD) $(SECONDS)

# Daemons are confined and can write no counts: unit tests count for them.
cover:
	regress/deps check
	$(MAKE) -j2 BUILD=build/cover COVER=1 tests
	-regress/run build/cover unit fuzz conf system
	@cd build/cover && find . -name '*.gcda' | xargs gcov -n 2>/dev/null | awk \
	    -F"'" '/^File/ { f = $$2 } /^Lines/ && f ~ /^[a-z]+\/.*\.[cy]$$/ && \
	    f !~ /^regress/ { print $$0 "  " f; f = "" }' | sort -t: -k2 -n

bench:
	regress/deps check
	regress/peers build/peers postfix nginx haproxy
	$(MAKE) -j2 all
	regress/bench/bench.py $(BENCH)

# ---- a gateway to try, users, installation -------------------------------
run:
	@regress/deps run
	@echo "building, about a minute"
	@$(MAKE) -s -j2 all
	@regress/demo $(BUILD)

users:
	postern/users

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/libexec/postern \
	    $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/man/man5 \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(SYSCONFDIR)/postern
	install -m 755 $(BUILD)/postern $(BUILD)/posternctl $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(DAEMONS:%=$(BUILD)/%) $(DESTDIR)$(PREFIX)/libexec/postern
	install -m 644 man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 posternctl/completion.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/posternctl
	postern/names $(DESTDIR)$(PREFIX)
	install -D -m 644 postern/postern.fail2ban \
	    $(DESTDIR)$(SYSCONFDIR)/fail2ban/filter.d/postern.conf
	install -m 644 postern/postern.sysusers \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf
	sed 's,@PREFIX@,$(PREFIX),' postern/postern.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/postern.service
	test -e $(DESTDIR)$(SYSCONFDIR)/postern/postern.conf || install -m 644 \
	    postern/postern.conf $(DESTDIR)$(SYSCONFDIR)/postern/postern.conf

clean:
	rm -rf build

.PHONY: all tests check unit system lint fuzz cover bench run users install clean
-include $(LIBOBJS:.o=.d) $(OBJS:.o=.d) $(patsubst $(BUILD)/%,$O/%.d,$(UNITS) $(FUZZERS)) \
    $(patsubst %.c,$O/%.d,$(wildcard regress/lib/*.c))

# For scripts: make -s print-NAME tells a variable.
print-%:
	@echo $($*)
