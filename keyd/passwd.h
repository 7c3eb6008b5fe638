/*
 * keyd's second process, `passwd`: whose password is right. It has the users'
 * tables, which nobody else reads; smtpd asks it. Its start, its peers and what
 * posternctl may ask; the logins themselves are judge.h's.
 */
#ifndef KEYD_PASSWD_H
#define KEYD_PASSWD_H

int	 passwd_main(int argc, char **argv);

#endif
