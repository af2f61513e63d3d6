// SPDX-License-Identifier: GPL-2.0-or-later
// cluster.js rr|none PORT: node's cluster module with four workers. Asked by SIGUSR2 it prints one line of JSON: how many `connection`
// events each worker had, by pid.
'use strict';
const cluster = require('cluster');
const http = require('http');

const [policy, port] = process.argv.slice(2);

if (cluster.isPrimary) {
	cluster.schedulingPolicy = policy === 'rr' ? cluster.SCHED_RR : cluster.SCHED_NONE;
	for (let i = 0; i < 4; i++)
		cluster.fork();
	process.on('SIGUSR2', () => {
		const counts = {};
		for (const worker of Object.values(cluster.workers)) {
			worker.once('message', (count) => {
				counts[worker.process.pid] = count;
				if (Object.keys(counts).length === 4)
					console.log(JSON.stringify(counts));
			});
			worker.send('count');
		}
	});
	let listening = 0;
	cluster.on('listening', () => {
		if (++listening === 4)
			console.log('listening');
	});
} else {
	let connections = 0;
	const server = http.createServer((request, response) => response.end('ok\n'));
	server.on('connection', () => connections++);
	server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
	process.on('message', () => process.send(connections));
}
