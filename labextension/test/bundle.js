/**
 * Bundles the tests for Node.js, which cannot load JupyterLab's packages as they are: their modules
 * name each other without file endings.
 */
const { readdirSync } = require('node:fs');
const path = require('node:path');

const { rspack } = require('@rspack/core');

const tests = readdirSync(__dirname).filter(name => name.endsWith('.test.ts'));

rspack(
  {
    mode: 'development',
    devtool: 'inline-source-map',
    target: 'node',
    entry: Object.fromEntries(
      tests.map(name => [path.parse(name).name, path.join(__dirname, name)])
    ),
    output: { path: path.join(__dirname, '..', 'build'), clean: true },
    resolve: { extensions: ['.js'], extensionAlias: { '.js': ['.ts', '.tsx', '.js'] } },
    module: {
      rules: [
        {
          test: /\.tsx?$/,
          loader: 'builtin:swc-loader',
          options: { jsc: { parser: { syntax: 'typescript', tsx: false }, target: 'es2022' } }
        },
        { test: /\.(css|svg)$/, type: 'asset/source' }
      ]
    },
    ignoreWarnings: [/Critical dependency/, /Can't resolve '(bufferutil|utf-8-validate)'/]
  },
  (error, stats) => {
    if (error || stats.hasErrors()) {
      console.error(error ?? stats.toString('errors-only'));
      process.exitCode = 1;
    }
  }
);
