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
    const server = await startHealthServer({ host: '127.0.0.1', port: 0, metrics: new Metrics(), status: () => status });
    servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const connected = { lagBytes: 0, retainedBytes: 0, slotState: 'reserved', connected: true };

  it('is ready when every connector runs and is connected, and not before', async () => {
    const status: ConnectorStatus[] = [{ name: 'a', state: 'running', attempts: 0, health: connected }];
    const url = await start(status);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    status.push({ name: 'b', state: 'retrying', attempts: 1, health: null });
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    status[1] = { name: 'b', state: 'running', attempts: 0, health: { ...connected, connected: false } };
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
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
    await expect(startHealthServer({ host: '127.0.0.1', port, metrics: new Metrics(), status: () => [] })).rejects.toMatchObject({
      code: 'SLUICE_HEALTH_LISTEN',
    });
  });
});
