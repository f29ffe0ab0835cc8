import tseslint from 'typescript-eslint';

export default tseslint.config({
  files: ['src/**/*.{ts,tsx}', 'test/**/*.ts'],
  extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
  languageOptions: { parserOptions: { project: ['tsconfig.json', 'test/tsconfig.json'] } },
  rules: {
    '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    '@typescript-eslint/no-floating-promises': [
      'error',
      { allowForKnownSafeCalls: [{ from: 'package', name: 'test', package: 'node:test' }] }
    ],
    '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: true }],
    '@typescript-eslint/restrict-template-expressions': [
      'error',
      { allowNumber: true, allowNullish: true, allowBoolean: true }
    ],
    // A source in a test answers at once what a server answers later.
    '@typescript-eslint/require-await': 'off',
    '@typescript-eslint/no-empty-function': 'off',
    // Lumino's signals take a method and its `this` as two arguments.
    '@typescript-eslint/unbound-method': 'off'
  }
});
