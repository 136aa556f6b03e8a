import type { Metadata, Viewport } from 'next';
import type { ReactNode } from 'react';

import './globals.css';

// Each page is made for its request: a prerendered one could not carry the nonce that its scripts need.
export const dynamic = 'force-dynamic';

export const metadata: Metadata = { title: 'Taaleem', description: 'Clinic management', icons: '/public/logo.svg' };
export const viewport: Viewport = { width: 'device-width', initialScale: 1 };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
