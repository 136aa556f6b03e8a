/** @type {import('next').NextConfig} */
export default {
  output: 'standalone',
  // The same sources give the same id on every machine; `npm run build` by hand has no need of one.
  generateBuildId: () => process.env.BUILD_ID ?? 'local',
  compress: false, // the edge compresses; here it would hold back the event stream
  poweredByHeader: false,
  reactStrictMode: true,
  images: { unoptimized: true },
  // The edge serves /public from disk; without an edge the application answers under the same address.
  rewrites: async () => [{ source: '/public/:path*', destination: '/:path*' }],
};
