/*
 * TLS on a stream. All of stream.h works on top of it: buffers, pauses, times
 * and stream_secret() as on a bare socket. stream_finish() sends close_notify
 * after the last byte, stream_free() sends nothing.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <openssl/types.h>

#include "common/io/stream.h"

/*
 * Has the stream go on as TLS. What was written before is sent in the clear
 * first; then comes the handshake, and what is written from here on after it.
 * What waits in stream_in() and was not eaten is taken for the first bytes of
 * the peer's handshake, never for its data: who has offered STARTTLS looks
 * there first. The handshake has the time of stream_timeout().
 *
 * It takes the SSL, which has neither fd nor BIO, always. Renegotiation and
 * compression are off, SSL_MODE_ASYNC is off after the handshake. While a job
 * of it pauses nothing is called until the callback of SSL_set_async_callback()
 * was; that one may be called from anywhere, and has to be: a stream that is
 * freed before leaves the SSL alive until then.
 *
 * secured() is called when the handshake is done, closed() with EPROTO when it
 * failed, whatever the reason. False: TLS stands or begins already, the stream
 * is broken, or no memory is left (nothing but the SSL is changed).
 */
bool	 stream_tls(struct stream *, SSL *, bool server);
/* For names, versions, certificates: not for input and output. NULL: no TLS. */
SSL	*stream_ssl(const struct stream *);
/*
 * Why the handshake or the session ended, in words for a log: also after
 * closed() without an error, if the peer sent no close_notify. NULL: no reason
 * is known. Lives as long as the stream.
 */
const char *stream_tls_why(const struct stream *);

#endif
