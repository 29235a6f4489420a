#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import * as connectors from '../connectors/index.ts';
import { runCli } from './cli/program.ts';
import { formats } from './formats/index.ts';

// Rows are bytes in arenas: what is made for each batch dies young, and a young generation that grows to V8's 32 MB is only resident (docs/decisions/0017).
setFlagsFromString('--semi-space-growth-factor=1');

process.exitCode = await runCli(process.argv, { ...connectors, formats, notYet: connectors.notYet });
