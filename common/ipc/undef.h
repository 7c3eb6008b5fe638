/* Forgets the field macros of msg.def; no guard, included after each use. */
#undef IPC_MSG
#undef IPC_U8
#undef IPC_U16
#undef IPC_U32
#undef IPC_U64
#undef IPC_BOOL
#undef IPC_ADDR
#undef IPC_STR
#undef IPC_BLOB
#undef IPC_END
