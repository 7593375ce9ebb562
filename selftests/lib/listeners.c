// SPDX-License-Identifier: BSD-2-Clause
/*
 * Listeners on PORT and OPEN.
 */
#include "listeners.h"
#include "net.h"

int gated_listener, open_listener;

int listeners_setup(void **state)
{
	net_setup(state);
	gated_listener = listen_on(SERVER, PORT);
	open_listener = listen_on(SERVER, OPEN);
	return 0;
}
