import * as React from 'react';

/** A bar that says how full a slice's memory is; the numbers stand beside it. */
export function Meter(props: { fullness: number; label: string }): React.JSX.Element {
  const percent = Math.round(props.fullness * 100);
  return (
    <span
      className="jp-mig-Meter"
      role="meter"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <span
        className={percent >= 90 ? 'jp-mig-Meter-fill jp-mig-mod-full' : 'jp-mig-Meter-fill'}
        style={{ width: `${percent}%` }}
      />
    </span>
  );
}

/** The label that simulated nodes carry wherever they are shown. */
export function Simulated(props: { label: string; title: string }): React.JSX.Element {
  return (
    <span className="jp-mig-Simulated" title={props.title}>
      {props.label}
    </span>
  );
}
