/*
 * For clang's analyser alone (regress/lint.d/analyse). It does not follow the
 * pointers to pointers by which lists remove their elements, and takes the
 * element that has been removed and freed for the one that is found next. Here
 * whatever is read from a list may be any element.
 */
#include_next <sys/queue.h>

#ifndef LINT_QUEUE_H
#define LINT_QUEUE_H

void	*lint_any(const void *);

#define LINT_ANY(p)	(*(__typeof__(&(p)))lint_any(&(p)))

#undef LIST_FIRST
#define LIST_FIRST(head)	LINT_ANY((head)->lh_first)
#undef LIST_NEXT
#define LIST_NEXT(elm, field)	LINT_ANY((elm)->field.le_next)
#undef STAILQ_FIRST
#define STAILQ_FIRST(head)	LINT_ANY((head)->stqh_first)
#undef TAILQ_FIRST
#define TAILQ_FIRST(head)	LINT_ANY((head)->tqh_first)
#undef TAILQ_NEXT
#define TAILQ_NEXT(elm, field)	LINT_ANY((elm)->field.tqe_next)
#undef TAILQ_LAST
#define TAILQ_LAST(head, name)	\
	LINT_ANY(*((struct name *)((head)->tqh_last))->tqh_last)

#endif
