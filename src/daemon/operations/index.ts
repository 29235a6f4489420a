import type { Operation } from '../../http/operation.ts';
import { connectorOperations } from './connectors.ts';
import { doctorOperations } from './doctor.ts';
import { offsetOperations } from './offsets.ts';
import type { OperationPorts } from './ports.ts';
import { schemaOperations } from './schemas.ts';
import { snapshotOperations } from './snapshots.ts';
import { tailOperations } from './tail.ts';
import { undeliveredOperations } from './undelivered.ts';

/** All that a running daemon can be asked for. */
export function daemonOperations(ports: OperationPorts): readonly Operation[] {
  return [
    ...connectorOperations(ports),
    ...offsetOperations(ports),
    ...snapshotOperations(ports),
    ...schemaOperations(ports),
    ...undeliveredOperations(ports),
    ...doctorOperations(ports),
    ...tailOperations(ports),
  ];
}
