# Objects of daemons and libraries that unit tests need beside libpostern.
UNIT_test_cache = lookupd/cache.o
UNIT_test_keys = keyd/key.o keyd/cred.o keyd/set.o
UNITLIBS_test_keys = -lcrypto
