#!/usr/bin/env node
import { registry } from '../connectors/index.ts';
import { runCli } from './cli/program.ts';

process.exitCode = await runCli(process.argv, registry);
