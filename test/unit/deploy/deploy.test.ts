import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, test } from 'vitest';
import { registry } from '../../../scripts/generate/files.ts';
import { daemonFields } from '../../../src/config/daemon-fields.ts';
import { readListen } from '../../../src/config/listen.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { VERSION } from '../../../src/version.ts';
import { valid } from '../config/plugins.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const deploy = (name: string): string => read(`config/deploy/${name}`);

const DOCKERFILE = read('Dockerfile');
const COMPOSE = deploy('compose/compose.yaml');
const KUBERNETES = deploy('kubernetes/sluice.yaml');
const UNIT = deploy('systemd/sluice.service');
const RULES = deploy('prometheus/sluice.rules.yml');
const DASHBOARD = deploy('grafana/sluice.json');

const PORT = readListen(daemonFields.health.fields.listen.default).port;

function one(pattern: RegExp, text: string): string {
  const found = [...text.matchAll(new RegExp(pattern, 'gm'))].map((match) => match[1] as string);
  expect(new Set(found).size, String(pattern)).toBe(1);
  return found[0] as string;
}

/** What a block scalar of YAML (`key: |`) holds. */
function block(yaml: string, key: string): string {
  const lines = yaml.split('\n');
  const at = lines.findIndex((line) => line.trim() === `${key}: |`);
  expect(at, key).toBeGreaterThanOrEqual(0);
  const indent = (lines[at + 1] as string).search(/\S/);
  const end = lines.findIndex((line, index) => index > at && line.trim() !== '' && line.search(/\S/) < indent);
  return lines
    .slice(at + 1, end)
    .map((line) => line.slice(indent))
    .join('\n');
}

describe('metrics', () => {
  const known = new Map<string, readonly string[]>();
  for (const { name, type, labelNames } of new Metrics().registry.getMetricsAsArray() as unknown as {
    name: string;
    type: string;
    labelNames: string[];
  }[]) {
    const parts = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const part of parts) known.set(name + part, part === '_bucket' ? [...labelNames, 'le'] : labelNames);
  }
  /** Prometheus adds these. */
  known.set('up', []);
  const FROM_PROMETHEUS = ['job', 'instance'];

  /** Names of metrics in a PromQL expression, with the labels that it selects by. */
  function used(expression: string): { name: string; labels: string[] }[] {
    return [...expression.matchAll(/\b(up|(?:sluice|process|nodejs)_\w+)\b(?:\{([^}]*)\})?/g)].map(([, name, selectors = '']) => ({
      name: name as string,
      labels: [...selectors.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map((match) => match[1] as string),
    }));
  }

  const dashboard = JSON.parse(DASHBOARD) as {
    panels: { id: number; title: string; targets?: { expr: string }[]; gridPos: { x: number; y: number; w: number; h: number } }[];
    templating: { list: { query: string | { query: string } }[] };
  };
  const inDashboard = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const));
  const inVariables = dashboard.templating.list.flatMap(({ query }) => (typeof query === 'string' ? [] : [['variable', query.query] as const]));
  const inRules = [...RULES.matchAll(/- alert: (\w+)\n\s+expr: (.+)/g)].map(([, alert, expr]) => [alert as string, expr as string] as const);

  it('are looked for in all alerts and panels', () => {
    expect(inRules).toHaveLength(RULES.split('- alert:').length - 1);
    expect(inRules.length).toBeGreaterThan(10);
    expect(inDashboard).toHaveLength(DASHBOARD.split('"expr"').length - 1);
  });

  test.each([...inRules, ...inDashboard, ...inVariables])('%s: %s names metrics and labels that there are', (_, expression) => {
    const all = used(expression);
    expect(all).not.toEqual([]);
    for (const { name, labels } of all) {
      expect([...known.keys()]).toContain(name);
      expect([...(known.get(name) ?? []), ...FROM_PROMETHEUS]).toEqual(expect.arrayContaining(labels));
    }
  });

  it('of Sluice all stand in the dashboard or in the alerts', () => {
    const shown = new Set(
      [...inRules, ...inDashboard].flatMap(([, expression]) => used(expression).map(({ name }) => name.replace(/_(bucket|count)$/, ''))),
    );
    const all = new Metrics().registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => name.startsWith('sluice_'));
    // What the dashboard would only say once more.
    expect(all.filter((name) => !shown.has(name))).toEqual(['sluice_messages_total', 'sluice_in_flight_batches']);
  });

  it('every alert has a unit test, a severity, a summary and a description', () => {
    const tests = deploy('prometheus/sluice.rules.test.yml');
    for (const [alert] of inRules) expect(tests).toContain(`"${alert}"`);
    for (const part of ['severity: ', 'summary: ', 'description: '])
      expect(RULES.split(part)).toHaveLength(inRules.length + (part === 'severity: ' ? 2 : 1));
  });

  it('panels have ids of their own and do not overlap', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });
});

describe('ports and paths', () => {
  it('the health port is that of the defaults', () => {
    expect(one(/^EXPOSE (\d+)/, DOCKERFILE)).toBe(String(PORT));
    expect(one(/SLUICE_HEALTH=0\.0\.0\.0:(\d+)/, DOCKERFILE)).toBe(String(PORT));
    expect(one(/ports: \["127\.0\.0\.1:\d+:(\d+)"\]/, COMPOSE)).toBe(String(PORT));
    expect(one(/name: sluice-health, containerPort: (\d+)/, KUBERNETES)).toBe(String(PORT));
    expect(one(/targets: \["sluice:(\d+)"\]/, deploy('prometheus/prometheus.yml'))).toBe(String(PORT));
  });

  it('probes ask for what there is, on the health port', () => {
    const probes = [...KUBERNETES.matchAll(/(\w+)Probe:\n\s+httpGet: \{ path: (\S+), port: (\S+) \}/g)].map(([, ...parts]) => parts);
    expect(probes).toEqual([
      ['startup', '/livez', 'sluice-health'],
      ['liveness', '/livez', 'sluice-health'],
      ['readiness', '/readyz', 'sluice-health'],
    ]);
  });

  it('configuration and data directory are those of the image', () => {
    const config = one(/SLUICE_CONFIG=(\S+)/, DOCKERFILE);
    const data = one(/SLUICE_DATA_DIR=(\S+)/, DOCKERFILE);
    expect(one(/^VOLUME (\S+)/, DOCKERFILE)).toBe(data);
    expect(one(/- \.\/(?:nats|kafka):(\S+):ro/, COMPOSE)).toBe(config);
    expect(one(/- sluice(?:-kafka)?:(\/\S+)/, COMPOSE)).toBe(data);
    expect(one(/name: config, mountPath: ([^,\s]+)/, KUBERNETES)).toBe(config);
    expect(one(/name: data, mountPath: ([^,\s]+)/, KUBERNETES)).toBe(data);
    expect(one(/^ExecStart=\S+ run (\S+)/, UNIT)).toBe(config);
    expect(one(/SLUICE_DATA_DIR=(\S+)/, UNIT)).toBe(data);
    expect(`/var/lib/${one(/^StateDirectory=(\S+)/, UNIT)}`).toBe(data);
  });

  it('the user is that of the image, and not root', () => {
    const user = one(/^USER (\d+:\d+)/, DOCKERFILE);
    expect(user).not.toMatch(/^0/);
    expect(`${one(/runAsUser: (\d+)/, KUBERNETES)}:${one(/runAsGroup: (\d+)/, KUBERNETES)}`).toBe(user);
    expect(one(/fsGroup: (\d+)/, KUBERNETES)).toBe(user.split(':')[1]);
  });

  // npm/cli#7909: with --omit=dev it leaves out what runs, if a development dependency needs it as well (pg-protocol because of @types/pg).
  it('the bill of materials is that of what is installed', () => {
    const made = one(/^RUN (.*npm sbom.*)$/, DOCKERFILE);
    expect(made).not.toMatch(/--omit|--package-lock-only/);
    expect(made).toContain('npm pkg delete devDependencies');
    expect(DOCKERFILE).toMatch(/npm ci --omit=dev[\s\S]*npm sbom/);
  });

  it('the image has the version of the package', () => {
    expect(one(/^ARG VERSION=(\S+)/, DOCKERFILE)).toBe(VERSION);
    expect(one(/image: registry\.example\/sluice:(\S+)/, KUBERNETES)).toBe(VERSION);
  });
});

describe('configurations', () => {
  const kubernetes = mkdtempSync(join(tmpdir(), 'sluice-deploy-'));
  for (const name of ['sluice.json', 'shop.json']) writeFileSync(join(kubernetes, name), block(KUBERNETES, name));
  afterAll(() => rmSync(kubernetes, { recursive: true }));

  test.each([
    ['compose, nats', [join(root, 'config/deploy/compose/nats')], COMPOSE, /stop_grace_period: (\d+)s/],
    ['compose, kafka', [join(root, 'config/deploy/compose/kafka')], COMPOSE, /stop_grace_period: (\d+)s/],
    ['kubernetes', ['sluice.json', 'shop.json'].map((name) => join(kubernetes, name)), KUBERNETES, /terminationGracePeriodSeconds: (\d+)/],
    ['systemd', [join(root, 'config/deploy/systemd')], UNIT, /^TimeoutStopSec=(\d+)s/],
  ] as const)('%s: valid, without a warning, with less time to end than it is given', async (_, paths, manifest, grace) => {
    const result = await loadConfiguration({ paths, env: {}, registry, secrets: 'leave' });
    const { connectors, daemon } = valid(result);
    expect(connectors).toHaveLength(1);
    expect(result.warnings).toEqual([]);
    // A second for what comes after: the state is closed.
    expect(Number(one(grace, manifest)) * 1000).toBeGreaterThan(daemon.shutdown.timeout + 1000);
  });

  it('read their secrets from where the manifests put them', () => {
    expect(block(KUBERNETES, 'shop.json')).toContain(`\${file:${one(/name: secrets, mountPath: ([^,\s]+)/, KUBERNETES)}/shop-db-password}`);
    expect(KUBERNETES).toMatch(/^ {2}shop-db-password: /m);
    const credential = one(/^LoadCredential=([^:]+):/, UNIT);
    expect(deploy('systemd/connectors/shop.json')).toContain(`\${file:/run/credentials/sluice.service/${credential}}`);
    for (const kind of ['nats/connectors/shop.json', 'kafka/connectors/shop-kafka.json'])
      expect(deploy(`compose/${kind}`)).toContain('${env:SHOP_DB_PASSWORD}');
    expect(COMPOSE).toMatch(/^ {4}SHOP_DB_PASSWORD: /m);
  });

  it('capture tables that the database of the compose file publishes, under the names of their connectors', () => {
    for (const kind of ['nats/connectors/shop.json', 'kafka/connectors/shop-kafka.json']) {
      const { name, source } = JSON.parse(deploy(`compose/${kind}`)) as { name: string; source: { tables: string[] } };
      expect(deploy('compose/shop.sh')).toContain(`CREATE PUBLICATION sluice_${name.replaceAll('-', '_')} FOR TABLE`);
      for (const table of source.tables) expect(deploy('compose/shop.sh')).toContain(`CREATE TABLE ${table.replace('public.', '')} (`);
    }
  });
});

describe('files', () => {
  const all = readdirSync(join(root, 'config/deploy'), { recursive: true, encoding: 'utf8' });

  test.each(all.filter((name) => name.endsWith('.json')))('%s is JSON', (name) => {
    expect(JSON.parse(deploy(name))).toBeTypeOf('object');
  });

  // Of YAML no more than can be said of its lines; the tools of config/deploy/check.sh read it.
  test.each(all.filter((name) => /\.ya?ml$/.test(name)))('%s is indented by spaces, two at a time', (name) => {
    for (const line of deploy(name).split('\n')) expect(line).toMatch(/^( {2})*(?![ \t])/);
  });

  it('the manifest asks for everything that hardens a container', () => {
    for (const setting of [
      'runAsNonRoot: true',
      'readOnlyRootFilesystem: true',
      'allowPrivilegeEscalation: false',
      'capabilities: { drop: [ALL] }',
      'seccompProfile: { type: RuntimeDefault }',
      'automountServiceAccountToken: false',
    ])
      expect(KUBERNETES).toContain(setting);
    for (const setting of ['read_only: true', 'cap_drop: [ALL]', 'no-new-privileges:true']) expect(COMPOSE).toContain(setting);
  });
});
