import { initErrors } from '../../src/cli/init-errors.ts';
import { compatibilityErrors } from '../../src/compatibility/errors.ts';
import { configErrors } from '../../src/config/errors.ts';
import { controlErrors } from '../../src/daemon/control-errors.ts';
import { doctorErrors } from '../../src/daemon/doctor-errors.ts';
import { doctorFindings } from '../../src/daemon/doctor-findings.ts';
import { HEALTH_LISTEN } from '../../src/daemon/health-server.ts';
import { lifecycleErrors } from '../../src/daemon/lifecycle-errors.ts';
import { OFFSETS_DOCUMENT } from '../../src/daemon/offset-documents.ts';
import { CONNECTOR_RUNNING, CONNECTOR_UNKNOWN, CONNECTOR_UNNAMED } from '../../src/daemon/offsets.ts';
import { protectionErrors } from '../../src/daemon/protection-errors.ts';
import { storedConnectorErrors } from '../../src/daemon/stored-connectors-errors.ts';
import { deadLetterErrors } from '../../src/dead-letters/errors.ts';
import { avroErrors } from '../../src/formats/avro/errors.ts';
import { debeziumErrors } from '../../src/formats/debezium/errors.ts';
import { registryErrors } from '../../src/formats/registry/errors.ts';
import { httpErrors } from '../../src/http/errors.ts';
import { mappingErrors } from '../../src/mapping/errors.ts';
import { pipelineErrors } from '../../src/pipeline/errors.ts';
import { credentialErrors } from '../../src/plugin/credential.ts';
import type { ErrorKind } from '../../src/plugin/error.ts';
import type { FindingKind } from '../../src/plugin/finding.ts';
import { schemaHistoryErrors } from '../../src/schema-history/errors.ts';
import { schemaPolicyErrors } from '../../src/schema-policy/errors.ts';
import { segmentErrors } from '../../src/segments/errors.ts';
import { snapshotErrors } from '../../src/snapshot/errors.ts';
import { stateErrors } from '../../src/state/errors.ts';
import { stoppedTableErrors } from '../../src/stopped-tables/errors.ts';
import { tailErrors } from '../../src/tail/errors.ts';

/** Every error kind of `src`, by what it is about. A test finds those that are missing. */
export const engineErrors: readonly { readonly title: string; readonly kinds: readonly ErrorKind[] }[] = [
  { title: 'Configuration', kinds: configErrors },
  { title: 'Short-lived secrets', kinds: credentialErrors },
  {
    title: 'Daemon and commands',
    kinds: [
      CONNECTOR_UNKNOWN,
      CONNECTOR_UNNAMED,
      CONNECTOR_RUNNING,
      OFFSETS_DOCUMENT,
      ...lifecycleErrors,
      ...storedConnectorErrors,
      ...protectionErrors,
      HEALTH_LISTEN,
      ...doctorErrors,
      ...tailErrors,
      ...initErrors,
      ...httpErrors,
      ...controlErrors,
    ],
  },
  { title: 'Pipeline', kinds: pipelineErrors },
  { title: 'Format debezium', kinds: debeziumErrors },
  { title: 'Formats avro and json-schema', kinds: [...avroErrors, ...registryErrors] },
  { title: 'State', kinds: stateErrors },
  { title: 'Snapshots', kinds: snapshotErrors },
  { title: 'Schema history', kinds: [...schemaHistoryErrors, ...schemaPolicyErrors, ...mappingErrors] },
  { title: 'Schemas of messages', kinds: compatibilityErrors },
  { title: 'Dead letters and stopped tables', kinds: [...deadLetterErrors, ...stoppedTableErrors, ...segmentErrors] },
];

/** Kinds of findings of `src`, but for the formats' own. */
export const engineFindings: readonly FindingKind[] = doctorFindings;
