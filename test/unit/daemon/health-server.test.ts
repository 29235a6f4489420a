import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectorStatus } from '../../../src/daemon/connector-ports.ts';
import { startHealthServer } from '../../../src/daemon/health-server.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

describe('startHealthServer', () => {
  const servers: Awaited<ReturnType<typeof startHealthServer>>[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function start(status: ConnectorStatus[]): Promise<string> {
    const server = await startHealthServer({
      host: '127.0.0.1',
      port: 0,
      metrics: new Metrics(),
      status: () => status,
      redact: (text) => text.replaceAll('hunter2', '***'),
    });
    servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const figures = { rows: 0, messages: 0, bytes: 0, lagSeconds: 0, inFlightBytes: 0 };
  const shared = {
    since: '2026-01-01T00:00:00.000Z',
    source: 'postgres',
    sink: 'nats',
    tables: 1,
    figures,
    isStalled: false,
    pressure: null,
    freshness: null,
  };
  const connected = { lagBytes: 0, retainedBytes: 0, slotState: 'reserved', connected: true };

  it('is ready when every connector runs and is connected, and not before', async () => {
    const status: ConnectorStatus[] = [{ ...shared, name: 'a', state: 'running', attempts: 0, health: connected }];
    const url = await start(status);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    status.push({ ...shared, name: 'b', state: 'retrying', attempts: 1, health: null });
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    status[1] = { ...shared, name: 'b', state: 'running', attempts: 0, health: { ...connected, connected: false } };
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    // Somebody wants it so.
    status[1] = { ...shared, name: 'b', state: 'paused', attempts: 0, health: null };
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it('is not live while a reader is stalled; what waits for a server is alive', async () => {
    const status: ConnectorStatus[] = [{ ...shared, name: 'a', state: 'running', attempts: 0, health: connected, isStalled: true }];
    const url = await start(status);
    const answer = await fetch(`${url}/livez`);
    expect([answer.status, await answer.json()]).toEqual([503, { status: 'stalled', connectors: ['a'] }]);
    status[0] = { ...shared, name: 'a', state: 'retrying', attempts: 9, health: null };
    expect((await fetch(`${url}/livez`)).status).toBe(200);
  });

  it('no secret leaves with the last error (I12)', async () => {
    const error = { code: 'SLUICE_X', message: 'no host in nats://u:hunter2@h', remedy: 'r' };
    const url = await start([{ ...shared, name: 'hunter2', state: 'failed', attempts: 0, health: null, error }]);
    const text = await (await fetch(`${url}/readyz`)).text();
    expect([text.includes('u:hunter2'), text.includes('nats://u:***@h'), text.includes('"name":"hunter2"')]).toEqual([false, true, true]);
  });

  it('gives metrics in the format of Prometheus, and nothing else', async () => {
    const url = await start([]);
    const metrics = await fetch(`${url}/metrics`);
    expect(metrics.headers.get('content-type')).toContain('text/plain');
    expect(await metrics.text()).toContain('# TYPE sluice_rows_total counter');
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${url}/offsets`)).status).toBe(404);
  });

  it('an address that is taken is a typed error', async () => {
    const port = Number(new URL(await start([])).port);
    await expect(
      startHealthServer({ host: '127.0.0.1', port, metrics: new Metrics(), status: () => [], redact: (text) => text }),
    ).rejects.toMatchObject({
      code: 'SLUICE_HEALTH_LISTEN',
    });
  });
});
