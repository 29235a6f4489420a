import type { TableShape } from '../../src/record/table.ts';
import type { Layout } from './binlog/layout.ts';
import { render } from './binlog/render.ts';
import { BinlogServer } from './binlog/server.ts';
import type { Checks } from './checks.ts';
import { type Log, type LogStyle, withLsns } from './log.ts';
import type { Plan } from './plan.ts';
import type { Random } from './random.ts';
import { Server } from './server.ts';
import { TABLES_WITHOUT_SCHEMAS } from './tables.ts';
import type { World } from './world.ts';

/** What is read: how its log is, and the server of it. */
export interface Model {
  readonly style: LogStyle;
  readonly serve: (world: World, log: Log, checks: Checks) => Server;
}

export function modelOf(random: Random, plan: Plan): Model {
  const { source } = plan;
  if (source === 'slot') return { style: withLsns(random), serve: (world, log, checks) => new Server(world, log, checks, plan) };
  let layout: Layout | null = null;
  const arrange: LogStyle['arrange'] = (drafts) => {
    const rendered = render(random, drafts, source);
    layout = rendered.layout;
    return rendered.transactions;
  };
  // Where the columns are lost with the state, a TRUNCATE goes to all partitions: nobody knows whether there is a key.
  const mayTruncate = ({ key }: TableShape): boolean => plan.corruption === 0 || key.length > 0;
  return {
    style: { tables: TABLES_WITHOUT_SCHEMAS, truncatesAlone: true, mayTruncate, arrange },
    serve: (world, log, checks) => new BinlogServer(world, log, checks, plan, layout as unknown as Layout),
  };
}
