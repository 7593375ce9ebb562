// SPDX-License-Identifier: BSD-2-Clause
//
// A server in Node.js, which has no getsockopt() and starts to read at once: it is for a transparent port, where the
// kernel has taken the header out of the stream, and remoteAddress is the client's.
//
//   ppctl up --cgroup CGROUP --port 2525 --transparent --proxy ADDRESS
'use strict';
const net = require('net');

net.createServer((connection) => {
	const address = (connection.remoteAddress || '').replace(/^::ffff:/, '');

	connection.on('error', () => connection.destroy());
	connection.write(`220 hello, ${address} port ${connection.remotePort}\r\n`);
	connection.pipe(connection);
}).listen(2525, '::');
