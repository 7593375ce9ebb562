/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of a set that is up, replaced by those of this ppctl.
 */
#ifndef PPCTL_UPGRADE_H
#define PPCTL_UPGRADE_H

/* Is an incomplete set to be completed, and not made again, because there are connections that only
 * its maps know? */
int upgrade_is_due(void);
/* Replaces every program where it is attached. On a failure the old ones are put back. */
int upgrade(void);

#endif
