# Objects of daemons and libraries that unit tests need beside libpostern.
UNIT_test_cache = lookupd/cache.o
UNIT_test_keys = keyd/key.o keyd/cred.o keyd/set.o
UNITLIBS_test_keys = -lcrypto
# Stand-ins for what a test makes fail or watches.
UNITLIBS_test_ctl = -Wl,--wrap=event_add
