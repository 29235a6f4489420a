#!/usr/bin/env node
import * as connectors from '../connectors/index.ts';
import { runCli } from './cli/program.ts';
import { formats } from './formats/index.ts';

process.exitCode = await runCli(process.argv, { ...connectors, formats, notYet: connectors.notYet });
