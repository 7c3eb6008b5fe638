/*
 * Rows for people and for programs: tables with times in the local zone and
 * sizes with units, or JSON lines (-j). What came from outside is shown with
 * control bytes made harmless.
 */
#ifndef POSTERNCTL_PRINT_H
#define POSTERNCTL_PRINT_H

#include "posternctl/ask.h"

enum cell { CELL_TEXT, CELL_NUM, CELL_SIZE, CELL_AGO, CELL_IN, CELL_SECONDS };

struct column {
	const char	*key;
	const char	*head;
	enum cell	 cell;
	int		 width;		/* at least; the last is not padded */
};

/* A row as one JSON object on a line, with "kind" first. */
void	 print_json(const struct row *);
/* Bytes as a JSON string: what is no UTF-8 as if each byte were a character. */
void	 print_json_string(struct span);
/* A table's head, then its rows. Columns end with key NULL. */
void	 print_head(const struct column *);
void	 print_row(const struct column *, const struct row *);
/* "key: value" on a line each, all fields of the row. */
void	 print_fields(const struct row *);
/* Bytes from outside on standard output: all but printable UTF-8 as \xNN. */
void	 print_safe(struct span);

#endif
