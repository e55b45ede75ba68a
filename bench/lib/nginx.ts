// nginx as a contender, tuned; docs/benchmarks.md says why each setting is there.

import { join } from "node:path";
import { type Contender, firstLine, type ProxySetup } from "./contender.ts";
import { nginxPreamble, nginxTempPaths } from "./origin.ts";

function config(setup: ProxySetup): string {
  return `${nginxPreamble(setup.dir, setup.workers)}
events { worker_connections 16384; multi_accept on; }
http {
${nginxTempPaths(setup.dir)}
  access_log off;
  tcp_nodelay on;
  server_tokens off;
  keepalive_timeout 600s;
  keepalive_requests 2000000000;
  map $http_x_request_id $kept_request_id { default $http_x_request_id; "" $request_id; }
  upstream app {
${setup.endpoints.map((endpoint) => `    server ${endpoint};`).join("\n")}
    keepalive 256;
    keepalive_timeout 600s;
    keepalive_requests 2000000000;
  }
  server {
    listen 127.0.0.1:${setup.port} reuseport backlog=4096;
    client_max_body_size 4m;
    client_body_buffer_size 512k;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_buffer_size 16k;
    proxy_buffers 16 64k;
    proxy_busy_buffers_size 512k;
    proxy_max_temp_file_size 0;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Request-Id $kept_request_id;
    location / { proxy_pass http://app; }
  }
}
`;
}

export const nginx: Contender = {
  name: "nginx",
  version: () => firstLine(["nginx", "-v"]).replace("nginx version: ", ""),
  plan: (setup) => ({
    files: { "nginx.conf": config(setup) },
    command: ["nginx", "-e", join(setup.dir, "error.log"), "-p", setup.dir, "-c", join(setup.dir, "nginx.conf")],
  }),
};
