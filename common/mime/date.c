/*
 * Dates of message headers. See date.h.
 */
#include <stdlib.h>

#include "common/mime/date.h"

bool
date_write(struct buf *b, const struct tm *tm, int gmtoff_min)
{
	static const char	days[] = "SunMonTueWedThuFriSat";
	static const char	months[] =
	    "JanFebMarAprMayJunJulAugSepOctNovDec";
	int			off = abs(gmtoff_min);

	return buf_fmt(b, "%.3s, %02d %.3s %04d %02d:%02d:%02d %c%02d%02d",
	    days + 3 * (tm->tm_wday % 7), tm->tm_mday,
	    months + 3 * (tm->tm_mon % 12), tm->tm_year + 1900, tm->tm_hour,
	    tm->tm_min, tm->tm_sec, gmtoff_min < 0 ? '-' : '+', off / 60,
	    off % 60);
}

bool
date_local(struct buf *b, time_t t)
{
	struct tm	 tm;

	return localtime_r(&t, &tm) != NULL &&
	    date_write(b, &tm, (int)(tm.tm_gmtoff / 60));
}

bool
date_field(struct buf *b, time_t t)
{
	return buf_str(b, "Date: ") && date_local(b, t) && buf_str(b, "\r\n");
}
