import { LabIcon } from '@jupyterlab/ui-components';

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">
  <g class="jp-icon3" fill="#616161">
    <path d="M2 3h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H2a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zm0 1v8h12V4z"/>
    <path d="M3 5h2.4v6H3zM6.3 5h2.4v6H6.3z"/>
    <path d="M9.6 5H13v1H9.6zm0 2.5H13v1H9.6zm0 2.5H13v1H9.6z"/>
  </g>
</svg>`;

/** A GPU with two slices taken and room for more. */
export const sliceIcon = new LabIcon({ name: 'jupyter-mig:slice', svgstr: SVG });
