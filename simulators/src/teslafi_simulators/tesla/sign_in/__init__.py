"""The pages and endpoints of auth.tesla.com, auth.tesla.cn and fleet-auth.prd.vn.cloud.tesla.com."""
