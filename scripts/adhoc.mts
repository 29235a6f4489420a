import { startMysql } from '../test/servers/index.ts';
import { openMysql, readMessages } from '../test/support/mysql-source.ts';
const version = (process.argv[2] ?? 'mysql-9') as 'mysql-9';
const server = await startMysql({ version });
try {
  await server.query('create database d character set utf8mb4; create table d.t (id int primary key, v varchar(20), n decimal(10,3), ts timestamp(3) null, dt datetime, ti time(2), e enum(\'a\',\'b\'), s set(\'x\',\'y\'), j json, l varchar(10) character set latin1, sj varchar(10) character set sjis)');
  const reading = openMysql(server, { tables: ['d.*'] });
  const { messages, position } = await readMessages(reading, null, (m) => m.key?.includes('"id":99') === true, async () => {
    await server.query(`insert into d.t values (1,'é', -12.5, '2024-01-02 03:04:05.678', '2024-01-02 03:04:05', '-01:02:03.4','b','x,y','{"a":1.5}', 'é', '日本〜'); update d.t set v='z' where id=1; delete from d.t; insert into d.t(id) values (99)`);
  });
  for (const m of messages) console.log(m.key, m.value);
  console.log(position, reading.context.lines);
  const preflight = await openMysql(server, { tables: ['d.*'] }).source.preflight(AbortSignal.timeout(5000));
  console.log(JSON.stringify(preflight.findings), preflight.tables.length);
} finally { await server.dispose(); }
